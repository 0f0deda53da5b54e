"""Conditional requests (RFC 9110, section 13)."""

from typing import Final

_SUFFIX: Final = "-gzip"


def compressed(entity: str) -> str:
    """Return the header's text of the same answer's tag when it is compressed."""
    return f'{entity[:-1]}{_SUFFIX}"'
