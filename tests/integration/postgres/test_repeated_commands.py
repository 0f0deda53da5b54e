"""Two workers that have the same records in hand: a rebalance leaves them so for a moment."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from devstack.rig.waiting import until
from rules import topics
from rules.commands.results import CommandStatus
from rules.models import Policy
from store.postgres import commands
from store.postgres.commands import PostgresCommandRepository
from store.postgres.database import Database, PoolConfig
from tests.support.commands import anew, deliver

WAITING: Final = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
RESULTS: Final = "select count(*) from outbox where topic = $1"
POLICY: Final = Policy()


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    database = Database(PoolConfig(migrated_database, 1, 4, acquire_timeout=30, command_timeout=30))
    yield database
    await database.close()


async def test_a_repetition_that_two_workers_take_at_once_has_one_result(
    database: Database,
) -> None:
    """The second worker looks before the first has committed, and enters what it finds after."""
    command = deliver("class.create", name="9A", course_codes=["SV1"])
    records = [command, anew(command)]
    store = PostgresCommandRepository(database, POLICY)
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        first = await commands._apply(connection, records, POLICY)
        second = asyncio.create_task(store.apply_commands(records))
        async with database.acquire() as looking:
            await until("the second worker to wait", lambda: looking.fetchval(WAITING))
        await transaction.commit()
    await second
    async with database.acquire() as connection:
        published = await connection.fetchval(RESULTS, topics.COMMAND_RESULTS)
    assert [result.status for result in first] == [CommandStatus.APPLIED, CommandStatus.DUPLICATE]
    assert published == len(records)
