"""Values as text for people."""

from collections.abc import Mapping, Sequence
from datetime import datetime


def listed(counts: Mapping[str, int]) -> str:
    """Return counts as text: `3 confirmed, 1 rejected`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def side_by_side(rows: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the rows as two columns of rows."""
    half = (len(rows) + 1) // 2
    right = [*rows[half:], *[("", "")] * (2 * half - len(rows))]
    return [(*left, *other) for left, other in zip(rows[:half], right, strict=True)]


def clock(instant: str) -> str:
    """Return an RFC 3339 instant as local time of day, with the date if it is not today."""
    local = datetime.fromisoformat(instant).astimezone()
    today = datetime.now().astimezone().date() == local.date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M}"
