"""Lends connections of a pool, and keeps a few at hand from one use to the next."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

#: After this a connection goes back to the pool, which replaces it once it is old.
LOAN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Loan:
    """A connection that the pool has lent."""

    connection: Connection
    until: float
    """By the event loop's clock; a use that has begun may end later."""


class Lending:
    """Between the pool and who uses its connections.

    To take a connection from the pool and to give it back makes a task and two timeouts: a
    seventh of what a GET costs. So whoever ends leaves a sound connection here for the next, unless
    somebody waits at the pool for one. No more are kept than the pool would keep anyway.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, wait_seconds: float) -> None:
        """Take the pool, and how long to wait there."""
        self._pool = pool
        self._wait_seconds = wait_seconds
        #: Whoever has waited longest goes first, so that none lies here until it is too old.
        self._kept: deque[Loan] = deque()
        self._room = pool.get_min_size()
        self._waiting = 0
        self._clock = asyncio.get_running_loop().time

    @property
    def size(self) -> int:
        """Open connections."""
        return self._pool.get_size()

    @property
    def idle(self) -> int:
        """Open connections that nobody uses."""
        kept = sum(not _is_closed(loan.connection) for loan in self._kept)
        return self._pool.get_idle_size() + kept

    async def take(self) -> Loan:
        """Return a connection. Raises what the pool does, also where none is free in time."""
        while self._kept:
            loan = self._kept.popleft()
            if self._clock() < loan.until and not _is_closed(loan.connection):
                return loan
            await self._replace(loan)
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=self._wait_seconds)
        finally:
            self._waiting -= 1
        return Loan(connection, self._clock() + LOAN_SECONDS)

    async def give_back(self, loan: Loan, *, sound: bool) -> None:
        """Keep a connection for the next; the pool mends one that may not be `sound`."""
        if sound and self._may_keep(loan):
            self._kept.append(loan)
        else:
            await self._pool.release(loan.connection)

    def _may_keep(self, loan: Loan) -> bool:
        return (
            len(self._kept) < self._room
            and not self._waiting
            and self._clock() < loan.until
            and not _is_closed(loan.connection)
            and not loan.connection.is_in_transaction()
        )

    async def _replace(self, loan: Loan) -> None:
        """Have the pool make a new connection: nobody knows what became of one that lay here."""
        with contextlib.suppress(asyncpg.InterfaceError):  # the pool has it back already
            loan.connection.terminate()
        await self._pool.release(loan.connection)

    async def close(self, seconds: float) -> None:
        """Close the pool; what is in use gets a moment, then is cut off."""
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
