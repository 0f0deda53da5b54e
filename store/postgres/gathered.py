"""Messages of a transaction that are stored together, at its end.

A transaction that carries out many commands stores its messages in one statement instead of one for
each command, and in as few packs.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeVar

from rules.models import OutboxMessage
from store.postgres.connection_cache import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Gathered:
    """The messages of a connection's transaction so far, in their order."""

    connection: Connection
    messages: list[OutboxMessage] = field(default_factory=list)


_current: Final[ContextVar[_Gathered | None]] = ContextVar("gathered_messages", default=None)


def messages_of(connection: Connection) -> list[OutboxMessage] | None:
    """Return the list to which messages are added; None: they are stored at once."""
    gathered = _current.get()
    return gathered.messages if gathered and gathered.connection is connection else None


@asynccontextmanager
async def gathering(connection: Connection) -> AsyncIterator[list[OutboxMessage]]:
    """Have this connection's messages added to a list, which the caller stores afterwards."""
    gathered = _Gathered(connection)
    token = _current.set(gathered)
    try:
        yield gathered.messages
    finally:
        _current.reset(token)


async def attempt(
    connection: Connection, work: Callable[[], Awaitable[T]], keeps: Callable[[T], bool]
) -> T:
    """Run a part of a transaction; unless `keeps` says so of its result, nothing of it stays.

    An error ends the whole transaction.
    """
    gathered = messages_of(connection)
    before = len(gathered or ())
    savepoint = connection.transaction()
    await savepoint.start()
    result = await work()
    if keeps(result):
        await savepoint.commit()
        return result
    await savepoint.rollback()
    if gathered is not None:
        del gathered[before:]
    return result
