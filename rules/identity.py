"""Who may be the acting user: the same over HTTP and in commands (docs/contract.md, section 2)."""

import re
from typing import Final

from rules.models import SYSTEM_AUTO, SYSTEM_TIMEOUT

MAX_USER_ID: Final = 255

#: Unicode's category Cc, which never changes (the Unicode Standard, section 23.1).
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

#: How the pseudonym of every erased user begins (rules.personal).
SYSTEM_ERASED: Final = "SYSTEM_ERASED"

_OWN: Final = frozenset({SYSTEM_AUTO, SYSTEM_TIMEOUT})


def is_user_id(text: str) -> bool:
    """Whether a text can name a user: not blank, not too long, no control characters."""
    return len(text) <= MAX_USER_ID and bool(text.strip()) and not CONTROL.search(text)


def is_reserved(user_id: str) -> bool:
    """Whether an id stands for the service where it decides, and so for no user.

    However it is written: a reader of `validated_by` would take one spelling for the other.
    """
    written = user_id.strip().upper()
    return written in _OWN or written.startswith(SYSTEM_ERASED)


def may_act(text: str) -> bool:
    """Whether a text names somebody who can act."""
    return is_user_id(text) and not is_reserved(text)
