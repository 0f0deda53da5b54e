"""The worker's clock: timestamps of events that no row has.

On PostgreSQL no decision depends on it; the store in memory decides by it.
"""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time; called once for each change."""
    return datetime.now(UTC)
