"""JSON with halves of characters: what Python's json writes for a file's name that is no UTF-8."""

import re
from typing import Final

_REPLACEMENT: Final = rb"\ufffd"

#: Escapes, from the left: backslashes and whole pairs stay, and what is left over is a half.
_ESCAPE: Final = re.compile(
    rb"(?:\\\\)+"
    rb"|(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})+"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def without_halves(value: bytes) -> bytes:
    """Return JSON with U+FFFD for each surrogate that is no part of a pair."""
    if rb"\ud" not in value and rb"\uD" not in value:
        return value
    return _ESCAPE.sub(lambda found: _REPLACEMENT if found["half"] else found[0], value)
