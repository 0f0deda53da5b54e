"""What PostgreSQL's errors mean to the service."""

from typing import Final

import asyncpg
from asyncpg.exceptions._base import DataError as UnencodableError

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
