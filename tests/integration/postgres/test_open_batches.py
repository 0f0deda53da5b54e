"""What else is going on, and what other versions leave behind, keeps no batch open."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from devstack.rig.database import connected
from rules import topics
from rules.models import HumanDecision, Policy, StudentChange
from rules.open_batches import Ending, Settled
from rules.suggestions import Outcome
from store.postgres import sql
from tests.integration.store.builders import (
    A_DAY,
    StoredBatch,
    Stores,
    deliver,
    make_batch,
    make_classroom,
    result,
    store_one,
    suggest,
    timers,
)
from tests.support.stores import postgres_stores

#: As an older worker deletes a class.
OLD_DELETION = """
delete from associations where status = 'pending_validation' and batch_id in (
    select id from batches where class_id = '{0}');
delete from classes where id = '{0}'
"""
#: As an older worker stores a message without essays.
OLD_EMPTY = """
insert into batches (id, class_id, correlation_id)
select gen_random_uuid(), '{0}', gen_random_uuid() returning id
"""
REFUSE = """
create function refuse() returns trigger language plpgsql as $$ begin
    if new.id = '{0}' then raise check_violation; end if;
    return new;
end $$;
create trigger refuse before update of closed_at on batches
    for each row execute function refuse()
"""
WAITING = "select exists (select from pg_locks where not granted)"
MANY_OPEN = """
insert into classes (id, owner_id, name, course_code) values (md5('c')::uuid, 't', 'c', 'SV1');
insert into batches (id, class_id, correlation_id, closed_at)
    select md5('b' || n)::uuid, md5('c')::uuid, md5('b')::uuid,
        case when n > 5000 then now() end
    from generate_series(1, 50000) as n;
insert into batches (id, correlation_id, closed_at)
    select md5('d' || n)::uuid, md5('b')::uuid, now() from generate_series(1, 50000) as n;
insert into associations (essay_id, batch_id, confidence, match_reasons, status, confirm_by)
    select md5('e' || n || '/' || k)::uuid, md5('b' || n)::uuid, 0, '{}', 'pending_validation',
        now() + n * interval '1 second' + k * interval '1 hour'
    from generate_series(1, 5000) as n, generate_series(1, 20) as k;
analyze
"""


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


@pytest.fixture
async def direct(migrated_database: str, stores: Stores) -> AsyncIterator[asyncpg.Connection]:  # noqa: ARG001  # emptied first
    async with connected(migrated_database) as connection:
        yield connection


@asynccontextmanager
async def locked(
    connection: asyncpg.Connection, table: str, column: str, identity: UUID
) -> AsyncIterator[None]:
    async with connection.transaction():
        await connection.execute(f"select from {table} where {column} = $1 for update", identity)
        yield


async def somebody_waits(connection: asyncpg.Connection) -> None:
    """Return once a transaction waits for another one's lock."""
    async with asyncio.timeout(30):
        for pause in itertools.repeat(0.01):
            if await connection.fetchval(WAITING):
                return
            await asyncio.sleep(pause)


async def half_confirmed(stores: Stores) -> StoredBatch:
    batch = await make_batch(stores, 0.9, 0.8)
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    await stores.published()
    return batch


async def test_batch_whose_class_an_older_worker_deleted_closes_without_an_event(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    batch = await half_confirmed(stores)
    await direct.execute(OLD_DELETION.format(batch.room.id))
    assert await stores.open_batches.settle(10) == [Settled(batch.id, Ending.CLASS_UNKNOWN)]
    published = await stores.published()
    assert {one.topic for one in published} == {topics.TIMERS}
    assert timers(published) == [("cleared", None)]
    assert await stores.open_batches.settle(10) == []
    names = await stores.queries.student_names(batch.id)
    assert [name.essay_id for name in names] == batch.essays[:1]


async def test_empty_batch_of_an_older_worker_closes_with_its_event(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    waiting = await make_batch(stores, 0.9)
    batch_id = await direct.fetchval(OLD_EMPTY.format(waiting.room.id))
    assert await stores.open_batches.settle(10) == []
    closed = await stores.open_batches.settle_idle(10)
    assert closed == [Settled(batch_id, Ending.NOTHING_PENDING)]
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert (confirmed.key, confirmed.data["associations"]) == (str(batch_id), [])
    assert await stores.open_batches.settle_idle(10) == []


async def test_empty_batch_of_an_older_worker_takes_essays_until_it_is_closed(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    room = await make_classroom(stores)
    batch_id = await direct.fetchval(OLD_EMPTY.format(room.id))
    assert await store_one(stores, deliver(room.id, result(), batch_id=batch_id)) is Outcome.STORED
    assert await stores.open_batches.settle_idle(10) == []


async def test_clock_chooses_nobody_whom_an_older_worker_took_out_of_the_class(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    gone = batch.room.students[0]
    await direct.execute("delete from enrollments where student_id = $1", gone)
    await stores.elapse(A_DAY)
    assert (await stores.timers.decide_due([batch.id])).essays == 2
    given = {n.essay_id: n.student_id for n in await stores.queries.student_names(batch.id)}
    assert given[batch.essays[0]] not in batch.room.students
    assert given[batch.essays[1]] == batch.room.students[1]


async def test_student_who_leaves_as_it_is_suggested_is_not_suggested(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    room = await make_classroom(stores)
    student = room.students[0]
    delivery = deliver(room.id, result(suggest(student)), result(suggest(room.students[1])))
    async with locked(direct, "students", "id", student):
        storing = asyncio.create_task(store_one(stores, delivery))
        await somebody_waits(direct)  # having read who is in the class
        await direct.execute("delete from enrollments where student_id = $1", student)
    assert await storing is Outcome.STORED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    suggested = {a.association.suggested_student_id for a in view.associations}
    assert suggested == {None, room.students[1]}


async def test_deleting_a_class_waits_for_no_essay(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    batch = await make_batch(stores, 0.9)
    async with locked(direct, "associations", "essay_id", batch.essays[0]):
        await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    assert [one.rejected for one in await stores.open_batches.settle(10)] == [1]


async def test_batch_that_somebody_holds_keeps_no_other_open(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    room = await make_classroom(stores)
    held, free = [await make_batch(stores, 0.9, room=room) for _ in range(2)]
    await stores.classes.delete_class(room.teacher, room.id)
    async with locked(direct, "batches", "id", held.id):
        assert [one.batch_id for one in await stores.open_batches.settle(10)] == [free.id]
    assert [one.batch_id for one in await stores.open_batches.settle(10)] == [held.id]


async def test_batch_that_cannot_be_closed_keeps_no_other_open(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    room = await make_classroom(stores)
    bad, *good = sorted([(await make_batch(stores, 0.9, room=room)).id for _ in range(4)])
    await stores.classes.delete_class(room.teacher, room.id)
    await direct.execute(REFUSE.format(bad))
    try:
        closed = await stores.open_batches.settle(10)
    finally:
        await direct.execute("drop function refuse cascade")
    assert sorted(one.batch_id for one in closed if one.ending) == good
    [failed] = [one for one in closed if one.ending is None]
    assert (failed.batch_id, failed.error is None) == (bad, False)
    # Nothing of it was done by halves.
    [again] = await stores.open_batches.settle(10)
    assert again == Settled(bad, Ending.CLASS_DELETED, rejected=1)


async def test_teacher_confirms_as_the_class_is_deleted(stores: Stores) -> None:
    for _ in range(3):
        batch = await make_batch(stores, 0.9)
        decision = HumanDecision(batch.essays[0], confirmed=True)
        await asyncio.gather(
            stores.classes.delete_class(batch.room.teacher, batch.room.id),
            stores.associations.confirm(batch.room.teacher, batch.id, [decision]),
            stores.open_batches.settle(10),
            return_exceptions=True,
        )
        await stores.open_batches.settle(10)
        confirmed = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
        assert [one.key for one in confirmed] == [str(batch.id)]


async def test_withdrawn_and_rejected_essays_are_remembered_as_changes(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    change = StudentChange(remove_class_ids=(batch.room.id,))
    await stores.classes.update_student(batch.room.teacher, batch.room.students[0], change)
    await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    await stores.open_batches.settle(10)
    found = await direct.fetch(
        """
        select entity_id, class_id, by_user, after->>'validation_status' as status,
            before->>'confidence_score' as c
        from changes where entity = 'association' and kind = 'updated' order by id
        """
    )
    teacher = batch.room.teacher.user_id
    assert [tuple(row) for row in found[:1]] == [
        (batch.essays[0], batch.room.id, teacher, None, "0.9")
    ]
    assert {tuple(row) for row in found[1:]} == {
        (essay_id, batch.room.id, teacher, "rejected", None) for essay_id in batch.essays
    }


async def test_looking_for_batches_of_deleted_classes_costs_nothing_beside_many_open_ones(
    direct: asyncpg.Connection,
) -> None:
    await direct.execute(MANY_OPEN)
    look = await plan(direct, sql.open_batches.BATCHES_WITHOUT_CLASS)
    assert "batches_open" in look
    assert blocks(look) < 10
    # Each of the 5,000 is one look into an index.
    wide = await plan(direct, sql.open_batches.IDLE_BATCHES)
    assert "batches_open" in wide
    assert blocks(wide) < 10 * 5_000
    assert "Seq Scan" not in wide


async def plan(connection: asyncpg.Connection, statement: str) -> str:
    explained = await connection.fetch(f"explain (analyze, buffers) {statement}", 50)
    return "\n".join(row[0] for row in explained)


def blocks(plan: str) -> int:
    """Return how many pages a plan has looked at."""
    [hit] = re.findall(r"shared hit=(\d+)", plan)[:1] or ["0"]
    [read] = re.findall(r"read=(\d+)", plan)[:1] or ["0"]
    return int(hit) + int(read)
