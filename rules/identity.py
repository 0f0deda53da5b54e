"""Who may be the acting user: the same over HTTP and in commands (docs/contract.md, section 2)."""

import re
from typing import Final

MAX_USER_ID: Final = 255

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_user_id(text: str) -> bool:
    """Whether a text can name a user: not blank, not too long, no control characters."""
    return len(text) <= MAX_USER_ID and bool(text.strip()) and not _CONTROL.search(text)
