"""Connections that go from one use to the next without the pool."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from devstack.rig.waiting import until
from rules.errors import StoreUnavailableError
from store.postgres import connection_cache
from store.postgres.database import Connection, Database, PoolConfig

MY_PID = "select pg_backend_pid()"


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    config = PoolConfig(migrated_database, 1, 2, acquire_timeout=5, command_timeout=30)
    opened = Database(config)
    yield opened
    await opened.close()


async def pid(database: Database) -> int:
    async with database.acquire() as connection:
        found: int = await connection.fetchval(MY_PID)
        return found


async def has_gone(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it is the pool's again
        return True


async def test_a_connection_is_kept_for_the_next(database: Database) -> None:
    async with database.acquire() as first:
        pass
    assert database.idle == 1
    async with database.acquire() as second:
        assert second is first
        assert database.idle == 0


async def test_as_many_are_kept_as_were_used_at_once(database: Database) -> None:
    async with database.acquire() as first, database.acquire() as second:
        assert (database.size, database.idle) == (2, 0)
    assert database.idle == 2
    async with database.acquire() as one, database.acquire() as other:
        assert {id(one), id(other)} == {id(first), id(second)}
        assert database.idle == 0


async def test_one_that_was_closed_meanwhile_is_replaced(database: Database) -> None:
    async with database.acquire() as first:
        killed = await first.fetchval(MY_PID)
    async with database.alone() as other:
        await other.fetchval("select pg_terminate_backend($1)", killed)
        await until("its end", lambda: has_gone(first))
    assert await pid(database) != killed


async def test_what_has_ended_meanwhile_is_not_idle(database: Database) -> None:
    async with database.acquire() as first:
        killed = await first.fetchval(MY_PID)
    async with database.alone() as other:
        await other.fetchval("select pg_terminate_backend($1)", killed)

    async def is_replaced() -> bool:
        # The pool does that by itself: it keeps its least number of connections.
        return database.idle == database.size == 1

    await until("another one", is_replaced)


async def test_one_that_broke_in_use_is_replaced(database: Database) -> None:
    killed = await pid(database)

    async def break_it() -> None:
        async with database.acquire() as connection:
            await connection.fetchval("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreUnavailableError):
        await break_it()
    assert await pid(database) != killed


async def test_an_open_transaction_is_rolled_back(database: Database) -> None:
    async with database.acquire() as connection:
        await connection.execute("begin; create table left_open ()")
    async with database.acquire() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("select to_regclass('left_open')") is None


async def test_whoever_is_cut_off_leaves_a_usable_connection(database: Database) -> None:
    async def sleep() -> None:
        async with database.acquire() as connection:
            await connection.execute("select pg_sleep(30)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sleep()
    assert await pid(database)


async def test_whoever_waits_is_served_first(database: Database) -> None:
    order: list[str] = []

    async def use(name: str) -> None:
        async with database.acquire():
            order.append(name)

    async with database.acquire():
        async with database.acquire():
            waiting = asyncio.create_task(use("waiting"))
            await asyncio.sleep(0.05)
            assert order == []
        await use("later")
    await waiting
    assert order == ["waiting", "later"]


async def test_an_old_loan_goes_back_to_the_pool(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_cache, "KEEP_SECONDS", 0.0)
    async with database.acquire() as first:
        pass
    with pytest.raises(asyncpg.InterfaceError):  # the pool has taken it back
        await first.fetchval(MY_PID)
    assert await pid(database)


async def test_one_that_lay_there_for_long_is_replaced(database: Database) -> None:
    before = await pid(database)
    assert database.idle == 1
    clock = asyncio.get_running_loop().time
    (await database.cache())._clock = lambda: clock() + connection_cache.KEEP_SECONDS
    assert await pid(database) != before


async def test_only_those_of_an_older_generation_are_ended(database: Database) -> None:
    async with database.acquire() as old:
        generation = await database.expire()
        async with database.acquire() as new:
            await database.expire()
            database.end_before(generation)
            assert await has_gone(old)
            assert await new.fetchval("select true")


async def test_the_end_does_not_wait_for_what_is_kept(migrated_database: str) -> None:
    config = PoolConfig(migrated_database, 1, 2, acquire_timeout=30, command_timeout=30)
    database = Database(config)
    async with database.acquire() as connection:
        pass
    async with asyncio.timeout(5):
        await database.close()
    with pytest.raises(asyncpg.InterfaceError):
        await used(connection)
    with pytest.raises(StoreUnavailableError):
        await pid(database)


async def used(connection: Connection) -> None:
    await connection.fetchval(MY_PID)
