"""The worker's clock: timestamps of events that no row has. No decision depends on it."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time; called once for each change."""
    return datetime.now(UTC)
