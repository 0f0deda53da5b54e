"""Whoever comes first may use every connection to PostgreSQL."""

from store import slots
from store.client import Share


def undivided(size: int, *, streams: bool) -> dict[Share, int]:
    """Give each share all of the pool."""
    del streams
    return dict.fromkeys(Share, size)


setattr(slots, "divided", undivided)  # noqa: B010  # mypy forbids the assignment
setattr(slots, "USERS_PART", 1)  # noqa: B010  # final for mypy
