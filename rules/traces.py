"""Trace context as W3C writes it (Trace Context, section 3.2)."""

import re
from typing import Final

TRACEPARENT_LENGTH: Final = 55

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def valid_traceparent(value: object) -> str | None:
    """Return `value` if it is a traceparent, else None."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None
