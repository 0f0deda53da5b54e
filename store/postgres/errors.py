"""What PostgreSQL's errors mean to the service."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import asyncpg
from asyncpg.exceptions._base import DataError as UnencodableError

from rules.errors import Cause, StoreUnavailableError

#: Another transaction interfered; this says nothing about the data.
COLLISIONS: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

#: The same work succeeds when repeated, unless its data clashes with what is stored.
CONFLICTS: Final = (
    *COLLISIONS,
    asyncpg.ForeignKeyViolationError,
    asyncpg.UniqueViolationError,
)

#: The data can never be stored.
REFUSALS: Final = (
    asyncpg.DataError,
    UnencodableError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)

#: The database is away, starting, stopping, full, overloaded, read-only or of another schema.
#: All other errors of PostgreSQL count as outages too: what is retried can still succeed, what is
#: given up is lost.
OUTAGES: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
)

#: No effect, and the same work succeeds on a session that may write.
READ_ONLY: Final = (asyncpg.ReadOnlySQLTransactionError, asyncpg.TargetServerAttributeNotMatched)

#: SQLSTATEs, or their first two characters, which name a class.
_CAUSES: Final[Mapping[str, Cause]] = MappingProxyType(
    {
        "08": Cause.UNREACHABLE,
        "25006": Cause.READ_ONLY,
        "28": Cause.ACCESS,
        "3D": Cause.SCHEMA,
        "3F": Cause.SCHEMA,
        "40": Cause.CONFLICT,
        "42501": Cause.ACCESS,
        "42": Cause.SCHEMA,
        "53100": Cause.DISK_FULL,
        "53300": Cause.CONNECTIONS,
        "55P03": Cause.NO_ANSWER,
        "57014": Cause.NO_ANSWER,
        "57P": Cause.STARTING,
    }
)

#: SQLSTATEs after which a session is not lent again, since it may be the server's last answer or
#: one of a proxy that has lost its server: connections that break, and servers that stop.
_LOST: Final = ("08", "25006", "25P03", "25P04", "57P")


def unavailable(error: BaseException) -> StoreUnavailableError:
    """Return what an outage is to callers."""
    return StoreUnavailableError(cause=cause_of(error))


def cause_of(error: BaseException) -> Cause:
    """Return why PostgreSQL cannot be used."""
    if isinstance(error, READ_ONLY):
        return Cause.READ_ONLY
    if isinstance(error, TimeoutError):
        return Cause.NO_ANSWER
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        known = (_CAUSES.get(state[:length]) for length in (5, 3, 2))
        return next((cause for cause in known if cause is not None), Cause.OTHER)
    if isinstance(error, OSError | asyncpg.InterfaceError):
        return Cause.UNREACHABLE
    return Cause.OTHER


def session_lost(error: BaseException) -> bool:
    """Whether the session that answered this must not be used again."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_LOST)
