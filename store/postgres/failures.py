"""What PostgreSQL's errors mean to the service."""

from typing import Final

import asyncpg
from asyncpg.exceptions._base import DataError as UnencodableError

#: Another transaction got in the way: the same work succeeds when it is done again.
CONFLICTS: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
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

#: The database is away, starting, stopping, full, overloaded or read-only.
OUTAGES: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,
    asyncpg.PostgresSystemError,
)
