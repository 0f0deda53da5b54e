"""What PostgreSQL's errors mean to the service."""

from typing import Final

import asyncpg
from asyncpg.exceptions._base import DataError as UnencodableError

#: Another transaction got in the way, and nothing is said of the data.
COLLISIONS: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

#: The same work succeeds when it is done again, unless its data clashes with what is stored.
CONFLICTS: Final = (
    *COLLISIONS,
    asyncpg.ForeignKeyViolationError,
    asyncpg.UniqueViolationError,
)

#: The data can never be stored, however often it is tried.
REFUSALS: Final = (
    asyncpg.DataError,
    UnencodableError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)

#: The database is away, starting, stopping, full, overloaded, read-only or of another schema.
#: Whatever else PostgreSQL says is counted here too: what is tried again for ever can be mended,
#: what is given up is lost.
OUTAGES: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
)
