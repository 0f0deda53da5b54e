"""Whether a session may write: PostgreSQL tells its clients when that changes."""

from typing import Any, TypeAlias

from rules.errors import Cause, StoreUnavailableError

#: What `get_settings()` of a connection returns: one object that asyncpg keeps up to date.
SessionSettings: TypeAlias = Any


def is_read_only(settings: SessionSettings) -> bool:
    """Whether it is on a standby or was made read-only, as of the session's last answer.

    A proxy may not pass this on; then a refused statement (25006) shows it.
    """
    return (
        getattr(settings, "default_transaction_read_only", "off") == "on"
        or getattr(settings, "in_hot_standby", "off") == "on"
    )


def require_writable(settings: SessionSettings) -> None:
    """Raise StoreUnavailableError for a session that is read-only."""
    if is_read_only(settings):
        raise StoreUnavailableError(cause=Cause.READ_ONLY)
