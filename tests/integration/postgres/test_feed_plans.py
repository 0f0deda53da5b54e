"""Reading the feed, a history, and what is to be numbered reads little of what is kept."""

import asyncio
import json
import re
from typing import Any, Final
from uuid import UUID

import pytest

from devstack.rig.database import connected
from store.postgres import sql
from tests.integration.postgres.test_query_plans import nodes
from tests.support.stores import EMPTY

#: 150,000 changes of 50,000 transactions, of the last weeks and of this one. The teacher 7 has one
#: transaction in a thousand, the last was an import. They end in the middle of this week, whatever
#: the day: the few of a week that has just begun would be read from end to end.
FILL: Final = f"""
{EMPTY};
set session_replication_role = replica;
insert into changes (at, owner_id, entity, entity_id, kind, version, by_user, correlation_id,
        before, after, xact)
    select date_trunc('week', now()) + interval '3 days' - (50000 - n / 3) * interval '30 seconds',
        'teacher ' || n / 3 % 1000,
        case n % 3 when 0 then 'student' when 1 then 'enrollment' else 'association' end,
        md5('s' || n / 30)::uuid, 'created', 1, 't', gen_random_uuid(), null, '{{"name":"9A"}}',
        (1000000 + n / 3)::text::xid8
    from generate_series(0, 149999) as n;
insert into changes (owner_id, entity, entity_id, kind, by_user, correlation_id)
    select 'teacher 7', 'student', md5('i' || n)::uuid, 'created', 't', gen_random_uuid()
    from generate_series(1, 4000) as n;
insert into feed (last_sequence, owner_id, xact, at, ids)
    select sum(count(*)) over (order by max(id)), owner_id, xact, at, array_agg(id order by id)
    from changes group by owner_id, xact, at;
insert into associations (essay_id, batch_id, confidence, match_reasons, status, confirm_by)
    select md5('e' || n)::uuid, md5('b' || n)::uuid, 0, '{{}}', 'pending_validation', now()
    from generate_series(1, 20000) as n;
"""
NUMBERED: Final = "update feed_state set sequence = 154000, done = pg_current_snapshot()"

#: What statistics would say of the changes of a few transactions.
FEW_TRANSACTIONS: Final = """
update pg_statistic set stadistinct = 30
from pg_attribute where attrelid = starelid and attnum = staattnum
    and starelid::regclass::text like 'changes%' and attname in ('xact', 'at')
"""

_WEEK: Final = re.compile(r"_(\d{8}|default)$")


@pytest.fixture(scope="module")
def filled(migrated_database: str) -> str:
    async def fill() -> None:
        async with connected(migrated_database) as connection:
            await connection.execute(FILL)
            await connection.execute(NUMBERED)
            await connection.execute("vacuum analyze changes, feed, feed_state, associations")

    asyncio.run(fill())
    return migrated_database


async def rows_read(
    dsn: str, statement: str, *values: object, before: str = "select"
) -> dict[str, float]:
    """Carry a statement out and take it back; return how many rows it read of each table."""
    async with connected(dsn) as connection:
        transaction = connection.transaction()
        await transaction.start()
        # As in the service, where the plan of any owner is that of all.
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        await connection.execute(before)
        text = await connection.fetchval(f"explain (analyze, format json) {statement}", *values)
        await transaction.rollback()
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    found: dict[str, float] = {}
    for node in nodes(plan):
        table = _WEEK.sub("", node.get("Relation Name", ""))
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        found[table] = found.get(table, 0) + read * node["Actual Loops"]
    return found


@pytest.mark.parametrize("begin", [0, 75_000, 147_000])
@pytest.mark.parametrize("owner", ["teacher 8", None])
async def test_a_page_of_the_feed_reads_little_more_than_the_page(
    filled: str, owner: str | None, begin: int
) -> None:
    statement = sql.feed.CHANGES_OF_ALL if owner is None else sql.feed.CHANGES_OF_OWNER
    read = await rows_read(filled, statement, owner, begin, 101)
    assert 0 < read["changes"] <= 3 * 101
    assert 0 < read["feed"] <= 110
    assert read.get("associations", 0) <= 101


@pytest.mark.parametrize("owner", ["teacher 8", None])
async def test_a_page_never_reads_the_changes_of_all_transactions(
    filled: str, owner: str | None
) -> None:
    """Not even where it looks cheaper, as it does to who knows tables from when they were small."""
    statement = sql.feed.CHANGES_OF_ALL if owner is None else sql.feed.CHANGES_OF_OWNER
    read = await rows_read(filled, statement, owner, 75_000, 101, before=FEW_TRANSACTIONS)
    assert 0 < read["changes"] <= 3 * 101


async def test_a_page_of_a_large_transaction_reads_that_one_alone(filled: str) -> None:
    read = await rows_read(filled, sql.feed.CHANGES_OF_OWNER, "teacher 7", 150_500, 101)
    assert read["feed"] == 1
    assert read["changes"] <= 4_000


async def test_what_is_to_be_numbered_is_found_without_reading_what_is(filled: str) -> None:
    for statement in (sql.feed.WAITING_CHANGES, sql.feed.NUMBER_CHANGES):
        read = await rows_read(filled, statement, 1_000)
        assert read["changes"] == 0, statement


async def test_a_history_reads_its_own_changes(filled: str) -> None:
    student = UUID("00000000-0000-0000-0000-000000000000")
    for statement in (sql.feed.CLASS_HISTORY, sql.feed.STUDENT_HISTORY):
        read = await rows_read(filled, statement, student, "teacher 1", 0, 101)
        assert read["changes"] == 0
