"""The worker's clock: what events say that no row of the database says. No decision rests on it."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time of the day; asked once for each change."""
    return datetime.now(UTC)
