"""The table of changes: a partition for each week, made ahead and dropped when it is old."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Final

import asyncpg
import pytest

from devstack.rig.database import connected
from rules import weeks
from store.postgres.database import Database
from store.postgres.maintenance import PostgresMaintenance
from store.protocols.maintenance import Turnover
from tests.integration.postgres.test_failover import opened
from tests.support.stores import EMPTY

MONTH: Final = timedelta(days=30)
PUT: Final = """
insert into changes (at, owner_id, entity, entity_id, kind, by_user, correlation_id)
values (now() - $1::interval, 'o', 'class', gen_random_uuid(), 'created', 'o', gen_random_uuid())
returning tableoid::regclass::text
"""
NAMES: Final = """
select inhrelid::regclass::text as name from pg_inherits
where inhparent = 'changes'::regclass order by 1
"""


def name(week: date) -> str:
    return f"changes_{week:%Y%m%d}"


class Table:
    """The table of changes, looked at past the store."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def put(self, ago: timedelta = timedelta(0)) -> str:
        """Remember a change of that time; return the partition that it is in."""
        where: str = await self.connection.fetchval(PUT, ago)
        return where

    async def names(self) -> list[str]:
        return [row["name"] for row in await self.connection.fetch(NAMES)]

    async def this_week(self) -> date:
        week: date = await self.connection.fetchval("select date_trunc('week', now(), 'UTC')::date")
        return week

    async def drop(self) -> None:
        """Drop every week."""
        for one in await self.names():
            if one != "changes_default":
                await self.connection.execute(f"drop table {one}")

    async def make(self, week: date) -> None:
        begin, end = weeks.bounds(week)
        bounds = f"from ('{begin}') to ('{end}')"
        await self.connection.execute(
            f"create table {name(week)} partition of changes for values {bounds}"
        )


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    async with opened(migrated_database) as database:
        yield database


@pytest.fixture
async def table(migrated_database: str) -> AsyncIterator[Table]:
    """Give the table, empty, with the weeks that a migration makes."""
    async with connected(migrated_database, server_settings={"timezone": "UTC"}) as connection:
        await connection.execute(EMPTY)
        table = Table(connection)
        await table.drop()
        monday = await table.this_week()
        for number in range(5):
            await table.make(monday + number * weeks.A_WEEK)
        yield table


async def turn_over(database: Database) -> Turnover:
    return await PostgresMaintenance(database).turn_over_changes(MONTH)


async def test_a_migrated_database_has_this_week_and_the_next_ones(empty_database: str) -> None:
    from migrations.runner import upgrade  # noqa: PLC0415  # imports Alembic

    await upgrade(empty_database)
    async with connected(empty_database) as connection:
        table = Table(connection)
        monday = await table.this_week()
        ahead = [name(monday + number * weeks.A_WEEK) for number in range(5)]
        assert await table.names() == sorted([*ahead, "changes_default"])
        assert await table.put() == name(monday)


async def test_nothing_is_to_be_made_while_the_next_weeks_are_there(
    database: Database, table: Table
) -> None:
    before = await table.names()
    assert await turn_over(database) == Turnover()
    assert await table.names() == before


async def test_weeks_are_made_before_they_begin(database: Database, table: Table) -> None:
    monday = await table.this_week()
    await table.drop()
    await table.make(monday)
    assert await turn_over(database) == Turnover(made=4)
    assert await turn_over(database) == Turnover()
    for number in range(1, 5):
        assert await table.put(-number * weeks.A_WEEK) == name(monday + number * weeks.A_WEEK)


async def test_a_week_that_has_begun_without_a_partition_goes_on_without(
    database: Database, table: Table
) -> None:
    await table.drop()
    assert await table.put() == "changes_default"
    assert await turn_over(database) == Turnover(made=4)
    assert await table.put() == "changes_default"


async def test_rows_of_a_week_to_come_do_not_stop_the_other_weeks(
    database: Database, table: Table
) -> None:
    monday = await table.this_week()
    await table.drop()
    await table.put(-2 * weeks.A_WEEK)
    assert await turn_over(database) == Turnover(made=3)
    assert name(monday + 2 * weeks.A_WEEK) not in await table.names()


async def test_old_weeks_are_dropped_and_old_rows_without_a_week_deleted(
    database: Database, table: Table
) -> None:
    monday = await table.this_week()
    old = [monday - number * weeks.A_WEEK for number in (10, 6, 2)]
    for week in old:
        await table.make(week)
    # The week before the sixth: no partition.
    assert await table.put(timedelta(days=50)) == "changes_default"
    kept = await table.put(timedelta(days=20))
    assert await turn_over(database) == Turnover(dropped=2)
    names = await table.names()
    assert [name(week) in names for week in old] == [False, False, True]
    left = await table.connection.fetch("select tableoid::regclass::text as name from changes")
    assert [row["name"] for row in left] == [kept]


async def test_who_reads_the_changes_holds_up_no_change(database: Database, table: Table) -> None:
    week = await table.this_week() - 10 * weeks.A_WEEK
    await table.make(week)
    reading = table.connection.transaction()
    await reading.start()
    await table.connection.fetch("select from changes")
    assert await turn_over(database) == Turnover()
    await reading.rollback()
    assert await turn_over(database) == Turnover(dropped=1)


async def test_two_workers_make_each_week_once(database: Database, table: Table) -> None:
    await table.drop()
    both = await asyncio.gather(turn_over(database), turn_over(database))
    assert sum(one.made for one in both) == 4
    assert len(await table.names()) == 5


async def test_an_account_that_does_not_own_the_table_remembers_without_weeks(
    migrated_database: str, table: Table
) -> None:
    await table.connection.execute(
        "create role stranger login password 'stranger'; grant insert on changes to stranger"
    )
    try:
        server = migrated_database.partition("@")[2]
        async with opened(f"postgresql://stranger:stranger@{server}") as database:
            assert await turn_over(database) == Turnover()
            await table.drop()
            assert await turn_over(database) == Turnover(refused=True)
            async with database.acquire() as connection:
                put = PUT.partition("returning")[0]
                await connection.execute(put, timedelta(0))
        assert await table.connection.fetchval("select count(*) from changes_default") == 1
    finally:
        await table.connection.execute("drop owned by stranger; drop role stranger")
