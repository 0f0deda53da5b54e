"""Shares of 1 in percent, as people write them in a field."""

import re
from typing import Final

_PERCENT: Final = re.compile(r"\s*([0-9]{1,3}(?:[.,][0-9]{1,6})?)\s*%?\s*", re.ASCII)
_WHOLE: Final = 100


def share_of(text: str) -> float | None:
    """Return the share, None if it is no number from 0 to 100."""
    found = _PERCENT.fullmatch(text)
    share = float(found[1].replace(",", ".")) / _WHOLE if found else _WHOLE
    return share if share <= 1 else None


def percent_of(share: float) -> str:
    """Write a share so that share_of reads it."""
    return f"{share * _WHOLE:.10g}"
