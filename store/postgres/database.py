"""The connection pool, transactions, and the meaning of their failures."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import repeat
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg

from rules.errors import Cause, DataRefusedError
from store.client import current_client
from store.postgres import connection_cache, joined, sql
from store.postgres.connection_cache import ConnectionCache, PooledConnection
from store.postgres.connector import Connector
from store.postgres.errors import (
    COLLISIONS,
    CONFLICTS,
    OUTAGES,
    READ_ONLY,
    REFUSALS,
    cause_of,
    session_lost,
    unavailable,
)
from store.postgres.sessions import is_read_only
from store.signals import CommitSignal
from store.slots import Slots, divided

Connection: TypeAlias = connection_cache.Connection
T = TypeVar("T")

_ATTEMPTS: Final = 8
_MAX_PAUSE_SECONDS: Final = 0.2
_REPEATED: Final = (*CONFLICTS, *READ_ONLY)

#: How sessions plan. By itself PostgreSQL plans a statement anew each time where an array of one
#: looks cheaper than one of ten, which it assumes when it plans once for all: most of the
#: statements that lock or read by ids, and a plan takes as long as they do (0.04 to 0.3 ms). With a
#: plan for all, none may be kept that reads a table from end to end because it is small or empty,
#: as the outbox is whenever it has been vacuumed, and is not looked at again until it is analyzed;
#: and a random page must not look four times as expensive as the next one.
PLANNING: Final = {
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "random_page_cost": "1.1",
}

#: A session ends, with its locks, after so long in a transaction without a statement, or with an
#: answer that is not taken: its process hangs, or its machine is gone. Longer than any request,
#: whose transaction may be around all that it does.
HUNG: Final = {"idle_in_transaction_session_timeout": "90s", "tcp_user_timeout": "90s"}


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """The settings of the pool; times in seconds."""

    dsn: str
    min_size: int
    max_size: int
    acquire_timeout: float
    command_timeout: float
    pgbouncer: bool = False
    streams: bool = True
    """Whether loops and consumers need connections, too."""
    changes: bool = True
    """Whether changes are remembered."""


class PlainConnection(asyncpg.Connection):
    """Has nothing to reset when it goes back to the pool.

    No statement on a pooled connection leaves settings, cursors, listeners or locks in its session.
    asyncpg's reset would be one more round trip after each use. What else it does stays: an open
    transaction is rolled back.
    """

    #: Whether changes are remembered (store.postgres.changes).
    keeps_changes = True

    def get_reset_query(self) -> str:
        return ""


class ForgetfulConnection(PlainConnection):
    """Remembers no changes."""

    keeps_changes = False


async def _know_types(connection: asyncpg.Connection) -> None:
    """Have asyncpg look up the types of the statements now, all at once.

    Otherwise it asks PostgreSQL for each array type at its first use, 6 to 15 ms each time.
    """
    await connection.fetch(sql.sessions.EVERY_TYPE, *repeat([], sql.sessions.EVERY_TYPE.count("$")))


class Database:
    """A pool that is opened when first needed, so that a start does not need the database."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self.opened: ConnectionCache | None = None
        """The connections of the pool, None until it is needed."""
        self._opening = asyncio.Lock()
        self._connector = Connector(config.dsn)
        shares = divided(config.max_size, streams=config.streams)
        self.slots = Slots(config.max_size, shares, config.acquire_timeout)
        self.committed = CommitSignal()
        self.write_fault: Cause | None = None
        """Why a write failed, until one succeeds that is made to find out."""

    @property
    def size(self) -> int:
        return self.opened.size if self.opened else 0

    @property
    def idle(self) -> int:
        return self.opened.idle if self.opened else 0

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection.

        Raises StoreUnavailableError if none is free in time, if it breaks in use, or if another
        transaction interferes, and DataRefusedError for values that cannot be stored. In a
        transaction that is joined it is that one's, which raises these.
        """
        connection = joined.connection_of(self)
        return _Use(self) if connection is None else nullcontext(connection)

    @property
    def is_joined(self) -> bool:
        """Whether what is done now is part of a larger transaction."""
        return joined.connection_of(self) is not None

    async def cache(self) -> ConnectionCache:
        """Return the connections of the pool, which is opened if necessary."""
        return self.opened or await self._open()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a long-lived connection beside the pool. Raises what `acquire` raises."""
        try:
            async with asyncio.timeout(self._config.acquire_timeout):
                connection = await self._connector.connect(**self._options())
        except OUTAGES as error:
            raise unavailable(error) from error
        try:
            if served := current_client().served:
                served()
            yield connection
        except OUTAGES as error:
            raise unavailable(error) from error
        finally:
            connection.terminate()

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` in a transaction; repeat it if another transaction interferes.

        It is also repeated on another session if this one may not write. Raises what `acquire`
        raises, and if the conflict persists: DataRefusedError for one of the data,
        StoreUnavailableError for one of transactions.
        """

        async def in_transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        connection = joined.connection_of(self)
        return await (self.run(in_transaction) if connection is None else work(connection))

    async def transact_all(
        self, work: Callable[[Connection], Awaitable[T]], keeps: Callable[[T], bool]
    ) -> T:
        """Run `work` in a transaction of which all is part that it does on this database.

        Unless `keeps` says so of its result, nothing of it stays. Otherwise like `transact`; what
        is repeated is all of it.
        """

        async def in_transaction(connection: Connection) -> T:
            return await joined.transact(self, connection, work, keeps)

        result = await self._repeat(in_transaction)
        if keeps(result):
            self.committed.set()
        return result

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Like `transact`, for work that is one statement and so its own transaction."""
        connection = joined.connection_of(self)
        if connection is not None:
            return await work(connection)
        result = await self._repeat(work)
        self.committed.set()
        return result

    async def _repeat(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with _Use(self, _REPEATED) as connection:
                    return await work(connection)
            except _REPEATED as error:
                if attempt == _ATTEMPTS:
                    if isinstance(error, (*COLLISIONS, *READ_ONLY)):
                        raise unavailable(error) from error
                    raise DataRefusedError from error
                await asyncio.sleep(random.uniform(0, _MAX_PAUSE_SECONDS))  # noqa: S311
        raise AssertionError("unreachable")

    async def learn(self, error: BaseException) -> None:
        """Take from an error what it says about other sessions and other writes."""
        cause = cause_of(error)
        if cause is Cause.READ_ONLY:
            await self.expire()
        elif cause is Cause.DISK_FULL:  # a missing privilege says nothing about other tables
            self.write_fault = cause

    async def expire(self) -> int:
        """Have every session that is open now replaced before its next use.

        Returns the generation of the sessions that are opened from now on.
        """
        return await self.opened.expire() if self.opened else 0

    def end_before(self, generation: int) -> None:
        """End the sessions that are still in use and of an older generation."""
        if self.opened:
            self.opened.terminate_before(generation)

    async def close(self) -> None:
        if self.opened is None:
            return
        with contextlib.suppress(TimeoutError, *OUTAGES):
            await self.opened.close(self._config.acquire_timeout)

    async def _open(self) -> ConnectionCache:
        async with self._opening:
            if self.opened is None:
                pool = await self._create_pool()
                self.opened = ConnectionCache(pool, wait_seconds=self._config.acquire_timeout)
            return self.opened

    async def _create_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        config = self._config
        async with asyncio.timeout(config.acquire_timeout):
            return await asyncpg.create_pool(
                config.dsn,
                min_size=config.min_size,
                max_size=config.max_size,
                max_inactive_connection_lifetime=300,
                connection_class=PlainConnection if config.changes else ForgetfulConnection,
                connect=self._connector.connect,
                init=_know_types,
                **self._options(HUNG),
            )

    def _options(self, more: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
        """Return the options of a connection, with more settings than every one has."""
        config = self._config
        return {
            "timeout": config.acquire_timeout,
            "command_timeout": config.command_timeout,
            "statement_cache_size": 0 if config.pgbouncer else 1024,
            # pgbouncer refuses startup parameters that it does not know.
            "server_settings": {"application_name": "class-management"}
            | ({} if config.pgbouncer else {**PLANNING, **more}),
        }


class _Use(AbstractAsyncContextManager[Connection]):
    """A connection in use. A class, because a generator takes four times as long."""

    def __init__(self, database: Database, passed_on: tuple[type[Exception], ...] = ()) -> None:
        """`passed_on` are errors of PostgreSQL that the caller handles."""
        self._database = database
        self._passed_on = passed_on

    async def __aenter__(self) -> Connection:
        self._client = current_client()
        slots = self._database.slots
        if not slots.take_at_once(self._client):
            await slots.wait(self._client)
        try:
            self._cache = self._database.opened or await self._database.cache()
            self._pooled: PooledConnection = self._cache.take() or await self._cache.acquire()
        except BaseException as error:
            slots.give_back(self._client)
            if isinstance(error, OUTAGES):
                raise unavailable(error) from error
            raise
        return self._pooled.connection

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        try:
            if error is None and not is_read_only(self._pooled.settings):
                if not self._cache.keep(self._pooled):
                    await self._cache.release(self._pooled)
            else:
                await self._return(error)
        except OUTAGES as failure:
            raise unavailable(failure) from failure
        finally:
            self._database.slots.give_back(self._client)
        if error is None:
            if self._client.served is not None:
                self._client.served()
        elif isinstance(error, self._passed_on):
            return
        elif isinstance(error, REFUSALS):
            raise DataRefusedError from error
        elif isinstance(error, OUTAGES):
            raise unavailable(error) from error

    async def _return(self, error: BaseException | None) -> None:
        """Give back a connection that may not be sound, and learn what that says about others."""
        if error is None:
            await self._database.expire()
        else:
            await self._database.learn(error)
        if error is None or session_lost(error):
            await self._cache.discard(self._pooled)
        else:
            await self._cache.release(self._pooled)
