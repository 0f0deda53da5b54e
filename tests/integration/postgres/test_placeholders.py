"""UNKNOWN students of workers of an older version, which run beside this one during an upgrade."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import idna
import pytest

from devstack.rig.database import connected
from rules import topics
from rules.emails import domain_of, is_own
from rules.ids import new_id
from rules.models import Policy
from rules.timeouts import unknown_student_email
from store.postgres import sql
from tests.integration.store.builders import (
    A_DAY,
    Classroom,
    StoredBatch,
    Stores,
    classes_of,
    make_batch,
    make_classroom,
)
from tests.support.stores import postgres_stores

Rows = list["asyncpg.Record"]

MAKE_UNKNOWN = """
with made as (
    insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
    values ($1, $2, 'UNKNOWN', 'STUDENT', 'UNKNOWN STUDENT', $3)
)
insert into enrollments (class_id, student_id, owner_id) values ($4, $1, $2)
"""


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


MANY_STUDENTS = """
set local session_replication_role = replica;
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key)
select gen_random_uuid(), 'teacher', 'Bo', 'Ek', 'Bo Ek', n || '@x.example', n || '@x.example'
from generate_series(1, 10000) as n
"""


@pytest.fixture
async def older(migrated_database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect as a worker of an older version, which knows no placeholders."""
    async with connected(migrated_database) as connection:
        yield connection


def unknown_of(room: Classroom) -> tuple[UUID, str, str, UUID]:
    return new_id(), room.teacher.user_id, unknown_student_email(room.id), room.id


async def decided_for(stores: Stores, batch: StoredBatch) -> UUID | None:
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    [shown] = view.associations
    return shown.association.student_id


async def placeholder(stores: Stores, room: Classroom) -> UUID:
    batch = await make_batch(stores, None, room=room)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    student_id = await decided_for(stores, batch)
    assert student_id is not None
    await stores.published()
    return student_id


async def test_one_that_an_older_worker_makes_at_the_same_moment_is_taken(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    batch = await make_batch(stores, None)
    await stores.elapse(A_DAY)
    made = unknown_of(batch.room)
    async with asyncio.TaskGroup() as group, older.transaction():
        await older.execute(MAKE_UNKNOWN, *made)
        deciding = group.create_task(stores.timers.decide_due([batch.id]))
        await waits_for_lock(older)
    assert deciding.result().essays == 1
    assert await decided_for(stores, batch) == made[0]
    student = await stores.classes.get_student(batch.room.teacher.user_id, made[0])
    assert student.is_placeholder
    assert not await stores.published(topics.STUDENT_CREATED)


async def waits_for_lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Wait until somebody waits for what a connection holds."""
    waiting = "select count(*) from pg_locks where not granted"
    async with asyncio.timeout(30):
        while not await connection.fetchval(waiting):  # noqa: ASYNC110  # PostgreSQL tells nobody
            await asyncio.sleep(0.01)


CHANGES = {
    "renamed": "first_name = 'Okänd'",
    "renamed in full": "legal_full_name = 'Okänd Elev'",
    "without an address": "email = null",
    "with another address": "email = 'okand@skola.example'",
}


@pytest.mark.parametrize("how", CHANGES)
async def test_one_that_an_older_worker_changed_becomes_an_ordinary_student(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]", how: str
) -> None:
    room = await make_classroom(stores)
    changed = await placeholder(stores, room)
    await older.execute(f"update students set {CHANGES[how]} where id = $1", changed)
    settled = await stores.placeholders.settle(None, 10)
    assert (settled.placeholders, settled.freed) == ((), (changed,))
    student = await stores.classes.get_student(room.teacher.user_id, changed)
    assert not student.is_placeholder
    assert student.email in (None, "okand@skola.example")
    assert await placeholder(stores, room) != changed


@pytest.mark.parametrize("how", CHANGES)
async def test_one_that_was_changed_a_moment_ago_gets_no_unknown_essay(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]", how: str
) -> None:
    room = await make_classroom(stores)
    changed = await placeholder(stores, room)
    await older.execute(f"update students set {CHANGES[how]} where id = $1", changed)
    assert await placeholder(stores, room) != changed


async def test_who_had_its_address_once_stands_in_nobodys_way(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """An older worker changed the address, and what it is compared by is of the former one."""
    room = await make_classroom(stores)
    [pupil] = room.students[:1]
    address = unknown_student_email(room.id)
    was = "update students set email = 'asa@skola.example', email_key = $2, keyed_email = $2"
    await older.execute(f"{was} where id = $1", pupil, address)
    assert await placeholder(stores, room) != pupil
    assert (await stores.placeholders.settle(None, 10)).freed == ()
    student = await stores.classes.get_student(room.teacher.user_id, pupil)
    assert (student.email, student.is_placeholder) == ("asa@skola.example", False)


async def test_one_that_an_older_worker_took_out_of_its_class_is_back_when_needed(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    room = await make_classroom(stores)
    unknown = await placeholder(stores, room)
    await older.execute("delete from enrollments where student_id = $1", unknown)
    [listed] = await classes_of(stores, room.teacher.user_id)
    assert listed.student_count == 3
    assert await placeholder(stores, room) == unknown
    student = await stores.classes.get_student(room.teacher.user_id, unknown)
    assert student.class_ids == (room.id,)


async def test_workers_that_settle_at_once_settle_each_once(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    room = await make_classroom(stores, 0)
    named = [(new_id(), room.teacher.user_id, f"{n}@huleedu.system", room.id) for n in range(40)]
    await older.executemany(MAKE_UNKNOWN, named)
    done = await asyncio.gather(*(stores.placeholders.settle(None, 15) for _ in range(4)))
    freed = [student_id for settled in done for student_id in settled.freed]
    assert len(freed) == len(set(freed))
    while left := (await stores.placeholders.settle(None, 15)).freed:
        freed += left
    assert sorted(freed) == sorted(student_id for student_id, *_ in named)
    assert len(await stores.published(topics.STUDENT_UPDATED)) == 40


async def test_what_is_being_changed_is_settled_later(
    stores: Stores, older: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    room = await make_classroom(stores)
    made = unknown_of(room)
    await older.execute(MAKE_UNKNOWN, *made)
    async with older.transaction():
        await older.execute(sql.students.LOCK_STUDENT, made[0], made[1])
        assert (await stores.placeholders.settle(None, 10)).placeholders == ()
    assert (await stores.placeholders.settle(None, 10)).placeholders == (made[0],)


async def test_every_spelling_of_the_domain_is_found(
    older: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """Each character that IDNA takes for some of the domain stands in for it once."""
    domain = "huleedu.system"
    alike = {c: mapped for c in map(chr, range(0x80, 0x20000)) if (mapped := _mapped(c))}
    found = [
        f"a@{domain.replace(mapped, char, 1)}" for char, mapped in alike.items() if mapped in domain
    ]
    own = [address for address in found if is_own(domain_of(address) or "")]
    assert len(own) > 50
    missed = """
    select email from unnest($1::text[]) as email cross join (select false as is_placeholder,
        '' as first_name, '' as last_name, '' as legal_full_name) as student
    where not {}
    """
    rows: Rows = await older.fetch(missed.format(f"({sql.placeholders._OUT_OF_PLACE})"), own)
    assert [row["email"] for row in rows] == []


def _mapped(char: str) -> str | None:
    """Return what IDNA takes a character for, None for nothing."""
    try:
        return idna.uts46_remap(char, std3_rules=False, transitional=False) or None
    except idna.IDNAError:
        return None


async def test_the_address_is_looked_for_by_index_alone(
    older: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """An owner may have a hundred thousand students."""
    values: list[Any] = [[new_id()], ["teacher"], ["unknown@huleedu.system"]]
    filling = older.transaction()
    await filling.start()
    # What the planner knows of a few rows hangs on when a vacuum has last come by.
    await older.execute(MANY_STUDENTS)
    await older.execute("analyze students")
    plan = "\n".join(
        r[0] for r in await older.fetch(f"explain {sql.placeholders.ADDRESS_HOLDERS}", *values)
    )
    await filling.rollback()
    # The few enrolments may well be read one after the other.
    others = plan.replace("Filter: (student_id = students.id)", "")
    assert "Filter" not in others, plan
    assert "Seq Scan on students" not in plan, plan
    conditions = [line for line in plan.splitlines() if "Index Cond" in line]
    assert sum("email" in one and "owner_id" in one for one in conditions) == 2, plan
