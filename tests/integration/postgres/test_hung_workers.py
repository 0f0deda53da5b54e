"""A worker that hangs, or whose machine is gone, holds up the others only for a while."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devstack.rig.waiting import until
from rules.errors import StoreUnavailableError
from rules.models import OutboxMessage
from rules.shards import SHARDS
from store.postgres import database as database_module
from store.postgres import outbox, sql
from store.postgres.database import Connection, Database, PoolConfig
from store.postgres.outbox import PostgresOutbox

SHORT = "1s"


def opened(dsn: str) -> Database:
    return Database(PoolConfig(dsn, 1, 2, acquire_timeout=5, command_timeout=30))


@pytest.fixture
async def hung(migrated_database: str) -> AsyncIterator[Database]:
    """Open the database as a worker does that then says nothing in a transaction."""
    database = opened(migrated_database)
    yield database
    await database.close()


@pytest.fixture
async def other(migrated_database: str) -> AsyncIterator[Database]:
    """Open the same as another worker does."""
    database = opened(migrated_database)
    yield database
    await database.close()


async def lock(connection: Connection) -> None:
    await connection.execute("lock table classes")


async def test_another_worker_gets_its_shards(
    hung: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sql.outbox.LEASE_IDLE in sql.outbox.LEASE_SHARDS
    short = sql.outbox.LEASE_SHARDS.replace(sql.outbox.LEASE_IDLE, SHORT)
    monkeypatch.setattr(sql.outbox, "LEASE_SHARDS", short)
    message = OutboxMessage("topic", b"key", b"value", ())
    await other.run(lambda connection: outbox.put(connection, [message]))

    async def published() -> bool:
        async with PostgresOutbox(other).lease(range(SHARDS), SHARDS) as lease:
            packs = await lease.fetch()
            await lease.end(packs, {})
            return bool(packs)

    async def hang() -> None:
        async with PostgresOutbox(hung).lease(range(SHARDS), SHARDS) as lease:
            assert await lease.fetch()
            await until("the shard's lease", published)
            await lease.keep()

    with pytest.raises(StoreUnavailableError):
        await hang()


async def test_what_it_has_locked_is_free_again(
    hung: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "HUNG", dict.fromkeys(database_module.HUNG, SHORT))

    async def hang(connection: Connection) -> None:
        await lock(connection)
        await other.transact(lock)  # waits for it
        await connection.execute("select")

    with pytest.raises(StoreUnavailableError):
        await hung.transact(hang)


async def test_so_is_what_it_has_locked_when_it_takes_no_answer(
    hung: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "HUNG", dict.fromkeys(database_module.HUNG, SHORT))

    async def hang(connection: Connection) -> None:
        answers = await connection.prepare("select repeat('x', 10000) from generate_series(1, $1)")
        await answers.fetch(1)
        await lock(connection)
        transport = connection._con._transport  # type: ignore[attr-defined]
        transport.pause_reading()
        asking = asyncio.create_task(answers.fetch(10_000))
        await other.transact(lock)
        transport.resume_reading()
        await asking

    with pytest.raises(StoreUnavailableError):
        await hung.transact(hang)


async def test_who_exports_may_read_slowly(migrated_database: str) -> None:
    database = opened(migrated_database)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(sql.sessions.MAY_BE_IDLE)
        idle = "show idle_in_transaction_session_timeout"
        assert await connection.fetchval(idle) == "0"
    await database.close()
