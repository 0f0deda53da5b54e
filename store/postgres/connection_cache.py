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
    behind: asyncpg.Connection
    """What `connection` passes everything on to: asking it costs half as much."""
    settings: SessionSettings
    until: float
    """By the event loop's clock; a use that began before may end later."""
    generation: int
    """Expired when the cache has another one."""


class ConnectionCache:
    """Keeps a few connections ready from one use to the next.

    Taking a connection from the pool and giving it back creates a task and two timeouts: a seventh
    of the cost of a GET. So a sound connection stays here for the next use, unless a caller waits
    for one at the pool, and until it is too old: what a burst has left over ends within a minute.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, wait_seconds: float) -> None:
        self._pool = pool
        self._wait_seconds = wait_seconds
        #: The one kept longest goes first, so that none stays here until it is too old.
        self._kept: deque[PooledConnection] = deque()
        self._lent: set[PooledConnection] = set()
        self._generation = 0
        self._room = pool.get_max_size()
        self._waiting = 0
        self._clock = asyncio.get_running_loop().time

    @property
    def size(self) -> int:
        return self._pool.get_size()

    @property
    def idle(self) -> int:
        kept = sum(not pooled.behind.is_closed() for pooled in self._kept)
        return self._pool.get_idle_size() + kept

    def take(self) -> PooledConnection | None:
        """Return a connection if one is ready, else `acquire` has to be asked."""
        if self._kept and self._is_usable(self._kept[0]):
            pooled = self._kept.popleft()
            self._lent.add(pooled)
            return pooled
        return None

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
            connection,
            connection._con,  # type: ignore[attr-defined]  # noqa: SLF001  # there is no other way
            connection.get_settings(),
            self._clock() + KEEP_SECONDS,
            generation,
        )
        self._lent.add(pooled)
        return pooled

    def keep(self, pooled: PooledConnection) -> bool:
        """Keep a sound connection for the next use, or say that it is to be released."""
        if self._may_keep(pooled):
            self._lent.discard(pooled)
            self._kept.append(pooled)
            return True
        return False

    async def release(self, pooled: PooledConnection) -> None:
        """Give a connection back to the pool, which resets it."""
        self._lent.discard(pooled)
        if pooled.generation != self._generation:
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
            and not pooled.behind.is_in_transaction()
        )

    def _is_usable(self, pooled: PooledConnection) -> bool:
        return (
            self._clock() < pooled.until
            and pooled.generation == self._generation
            and not pooled.behind.is_closed()
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
