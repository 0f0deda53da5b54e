"""A cache between a pool and the users of its connections."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from store.postgres.sessions import SessionSettings

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

#: After this time a connection goes back to the pool, which replaces old ones.
KEEP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class PooledConnection:
    """A connection from the pool."""

    connection: Connection
    settings: SessionSettings
    until: float
    """By the event loop's clock; a use that began before may end later."""
    generation: int
    """Expired when the cache has another one."""


class ConnectionCache:
    """Keeps a few connections ready from one use to the next.

    Taking a connection from the pool and giving it back creates a task and two timeouts: a seventh
    of the cost of a GET. So a sound connection stays here for the next use, unless a caller waits
    for one at the pool. No more are kept than the pool would keep anyway.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, wait_seconds: float) -> None:
        self._pool = pool
        self._wait_seconds = wait_seconds
        #: The one kept longest goes first, so that none stays here until it is too old.
        self._kept: deque[PooledConnection] = deque()
        self._lent: set[PooledConnection] = set()
        self._generation = 0
        self._room = pool.get_min_size()
        self._waiting = 0
        self._clock = asyncio.get_running_loop().time

    @property
    def size(self) -> int:
        return self._pool.get_size()

    @property
    def idle(self) -> int:
        kept = sum(not _is_closed(pooled.connection) for pooled in self._kept)
        return self._pool.get_idle_size() + kept

    async def acquire(self) -> PooledConnection:
        """Return a connection. Raises what the pool raises, also if none is free in time."""
        while self._kept:
            pooled = self._kept.popleft()
            if self._is_usable(pooled):
                self._lent.add(pooled)
                return pooled
            await self.discard(pooled)
        self._waiting += 1
        generation = self._generation  # it may expire before it is open
        try:
            connection = await self._pool.acquire(timeout=self._wait_seconds)
        finally:
            self._waiting -= 1
        pooled = PooledConnection(
            connection, connection.get_settings(), self._clock() + KEEP_SECONDS, generation
        )
        self._lent.add(pooled)
        return pooled

    async def release(self, pooled: PooledConnection, *, sound: bool) -> None:
        """Keep a connection for the next use; the pool resets one that may not be `sound`."""
        self._lent.discard(pooled)
        if sound and self._may_keep(pooled):
            self._kept.append(pooled)
        elif pooled.generation != self._generation:
            await self.discard(pooled)
        else:
            await self._pool.release(pooled.connection)

    async def expire(self) -> int:
        """Have all connections replaced: those at rest before their next use, others after it.

        Returns the generation of those that are opened from now on.
        """
        self._generation += 1
        generation = self._generation
        await self._pool.expire_connections()
        return generation

    def terminate_before(self, generation: int) -> None:
        """End the connections that are in use and of an older generation."""
        for pooled in self._lent:
            if pooled.generation < generation:
                with contextlib.suppress(asyncpg.InterfaceError):  # the pool has it back
                    pooled.connection.terminate()

    def _may_keep(self, pooled: PooledConnection) -> bool:
        return (
            len(self._kept) < self._room
            and not self._waiting
            and self._is_usable(pooled)
            and not pooled.connection.is_in_transaction()
        )

    def _is_usable(self, pooled: PooledConnection) -> bool:
        return (
            self._clock() < pooled.until
            and pooled.generation == self._generation
            and not _is_closed(pooled.connection)
        )

    async def discard(self, pooled: PooledConnection) -> None:
        """Have the pool open a new connection in its place, without a word to the server."""
        self._lent.discard(pooled)
        with contextlib.suppress(asyncpg.InterfaceError):  # the pool already has it back
            pooled.connection.terminate()
        await self._pool.release(pooled.connection)

    async def close(self, seconds: float) -> None:
        """Close the pool; connections in use get this time, then are terminated."""
        self._room = 0
        try:
            async with asyncio.timeout(seconds):
                while self._kept:
                    await self._pool.release(self._kept.pop().connection)
                await self._pool.close()
        finally:
            self._pool.terminate()


def _is_closed(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool saw it close, and has it back
        return True
