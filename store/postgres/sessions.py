"""Whether a session may write: PostgreSQL tells its clients when that changes."""

from typing import Any, Protocol

from rules.errors import Cause, StoreUnavailableError


class _Session(Protocol):
    def get_settings(self) -> Any: ...  # noqa: ANN401  # asyncpg's, whose members are settings


def is_read_only(session: _Session) -> bool:
    """Whether it is on a standby or was made read-only, as of the session's last answer.

    A proxy may not pass this on; then a refused statement (25006) shows it.
    """
    settings = session.get_settings()
    return (
        getattr(settings, "default_transaction_read_only", "off") == "on"
        or getattr(settings, "in_hot_standby", "off") == "on"
    )


def require_writable(session: _Session) -> None:
    """Raise StoreUnavailableError for a session that is read-only."""
    if is_read_only(session):
        raise StoreUnavailableError(cause=Cause.READ_ONLY)
