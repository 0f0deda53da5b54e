"""What another system calls a class or a student: an id that means nothing here.

It is kept as it is written, but for blanks around it, and compared character by character: two
that differ in case or in Unicode's form are two. It is as private as a name: some schools use
personal numbers.
"""

from typing import Final

from rules.identity import CONTROL
from rules.text import without_blanks

MAX_EXTERNAL_ID: Final = 255


def cleaned(text: str) -> str | None:
    """Return an external id as it is stored, None for a blank. Its length is for the caller.

    Raises ValueError for control characters.
    """
    external_id = without_blanks(text)
    if CONTROL.search(external_id):
        raise ValueError("control characters")
    return external_id or None
