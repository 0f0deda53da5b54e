"""Transactions that others join: what is done in one, on the same database, is part of it.

So a request, its events and the answer that is kept of it commit together, or none of them do.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeVar

from store.postgres.connection_cache import Connection

T = TypeVar("T")


@dataclass(slots=True)
class _Joined:
    """A transaction; a task that outlives it has a connection of its own again."""

    database: object
    connection: Connection
    is_open: bool = True


_current: Final[ContextVar[_Joined | None]] = ContextVar("joined_transaction", default=None)


def connection_of(database: object) -> "Connection | None":
    """Return the connection of the transaction to join, None if there is none."""
    joined = _current.get()
    if joined is None or not joined.is_open or joined.database is not database:
        return None
    return joined.connection


async def transact(
    database: object,
    connection: Connection,
    work: Callable[[Connection], Awaitable[T]],
    keeps: Callable[[T], bool],
) -> T:
    """Run `work` in a transaction to join; it commits if `keeps` says so of the result."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        result = await _joining(_Joined(database, connection), work)
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.commit() if keeps(result) else transaction.rollback())
    return result


async def _joining(joined: _Joined, work: Callable[[Connection], Awaitable[T]]) -> T:
    token = _current.set(joined)
    try:
        return await work(joined.connection)
    finally:
        _current.reset(token)
        joined.is_open = False
