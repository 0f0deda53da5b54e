"""Imports beside kills, other workers, faults and people: nothing half, nothing twice."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from devstack.rig.database import connected
from rules import topics
from rules.errors import ClassNotFoundError, DataRefusedError, StudentNotFoundError
from rules.ids import new_id
from rules.imports import applying
from rules.imports.applying import LeftOut
from rules.imports.plans import ImportState
from rules.models import EmailChange, Policy, StudentChange
from store.postgres import import_steps, imports
from store.postgres.database import Connection, Database, PoolConfig
from store.postgres.import_steps import Work
from store.postgres.imports import PostgresImports
from store.protocols.imports import Stepped
from tests.integration.store.builders import (
    Stores,
    by_topic,
    caller,
    make_classroom,
    make_student,
    new_student,
)
from tests.support import past
from tests.support.imports import (
    CREATED,
    LEFT,
    UPDATED,
    begun,
    class_row,
    finished,
    name,
    planned,
    row,
)
from tests.support.stores import postgres_stores

TEACHER = caller()
BOTH = 2

BREAK = """
create function break_it() returns trigger language plpgsql as $$ begin
    if new.last_name = 'Poison' then raise check_violation; end if;
    return new;
end $$;
create trigger break_it before insert on students for each row execute function break_it()
"""
MEND = "drop trigger break_it on students; drop function break_it"
WAITING = "select exists (select from pg_locks where not granted)"


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores
        await past.check(stores.past)


@pytest.fixture
async def direct(migrated_database: str, stores: Stores) -> AsyncIterator[asyncpg.Connection]:  # noqa: ARG001  # emptied first
    async with connected(migrated_database) as connection:
        yield connection


@pytest.fixture
async def another_worker(migrated_database: str) -> AsyncIterator[PostgresImports]:
    config = PoolConfig(migrated_database, 1, 3, acquire_timeout=30, command_timeout=30)
    database = Database(config)
    yield PostgresImports(database)
    await database.close()


async def new_ones(stores: Stores, classes: int, students: int = 2) -> tuple[UUID, list[UUID]]:
    """Have new classes with new students applied; return the import and the classes."""
    class_ids = [new_id() for _ in range(classes)]
    rows = []
    for class_id in class_ids:
        rows.append(class_row(CREATED, class_id, name="7B", course_code="SV1"))
        rows += [row(CREATED, class_id, new_id(), **name("Ada", "Ek")) for _ in range(students)]
    record = await planned(stores.imports, TEACHER, *rows)
    await begun(stores.imports, TEACHER, record)
    return record.id, class_ids


async def sizes(stores: Stores) -> dict[UUID, int]:
    state = await stores.imports.roster_state("teacher-1", None)
    return {one.id: len(one.member_ids) for one in state.classes.values()}


async def test_another_worker_goes_on_where_one_was_killed(
    stores: Stores, another_worker: PostgresImports
) -> None:
    import_id, class_ids = await new_ones(stores, 3)
    assert await stores.imports.apply_next()
    half = await another_worker.get_import("teacher-1", import_id)
    assert half.state is ImportState.APPLYING
    assert half.progress == pytest.approx(1 / 3)
    assert await sizes(stores) == {class_ids[0]: 2}
    while await another_worker.apply_next():
        pass
    done = await stores.imports.get_import("teacher-1", import_id)
    assert (done.state, done.left_out) == (ImportState.APPLIED, ())
    assert await sizes(stores) == dict.fromkeys(class_ids, 2)
    made = by_topic(await stores.published())[topics.STUDENT_CREATED]
    assert len({one.key for one in made}) == len(made) == 6


#: The statements of a step, in order, before each of which a worker is killed.
PHASES = ["_locked_class", "_locked_students", "_carry_out", "_create", "_mark", "_take_over"]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_worker_killed_in_a_class_leaves_nothing_of_it(
    stores: Stores,
    another_worker: PostgresImports,
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
) -> None:
    _, class_ids = await new_ones(stores, 2)
    reached = asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(import_steps, phase, hang)
        step = asyncio.create_task(stores.imports.step())
        async with asyncio.timeout(30):
            await reached.wait()
        step.cancel()
        with suppress(asyncio.CancelledError):
            await step
    assert await sizes(stores) == {}
    assert await stores.published() == []
    while await another_worker.apply_next():
        pass
    assert await sizes(stores) == dict.fromkeys(class_ids, 2)
    told = by_topic(await stores.published())
    assert len(told[topics.CLASS_CREATED]) == BOTH
    assert len(told[topics.STUDENT_CREATED]) == BOTH * 2


async def test_an_import_that_another_worker_has_is_skipped(
    stores: Stores, another_worker: PostgresImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = await new_ones(stores, 1)
    go, reached = asyncio.Event(), asyncio.Event()
    apply = import_steps.apply

    async def wait_first(connection: Connection, work: Work) -> None:
        if work.import_id == first:
            reached.set()
            await go.wait()
        await apply(connection, work)

    monkeypatch.setattr(import_steps, "apply", wait_first)
    step = asyncio.create_task(stores.imports.step())
    async with asyncio.timeout(30):
        await reached.wait()
        assert not await another_worker.apply_next()
        second, _ = await new_ones(stores, 1)
        other = await another_worker.step()
        assert other is not None
        assert other.record.id == second
        go.set()
        done = await step
    assert done is not None
    assert (done.record.id, done.applied) == (first, True)


async def test_a_class_that_fails_again_and_again_is_left_out_and_holds_up_nobody(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    good, bad = new_id(), new_id()
    record = await planned(
        stores.imports,
        TEACHER,
        class_row(CREATED, bad, name="7B", course_code="SV1"),
        row(CREATED, bad, new_id(), **name("Ada", "Poison")),
        class_row(CREATED, good, name="7C", course_code="SV1"),
        row(CREATED, good, new_id(), **name("Ada", "Ek")),
    )
    await begun(stores.imports, TEACHER, record)
    await direct.execute(BREAK)
    try:
        failed = await stores.imports.step()
        assert failed is not None
        assert isinstance(failed.error, DataRefusedError)
        assert failed.left_out is None
        assert not failed.applied
        # Not at once again; another import is not held up.
        assert await stores.imports.step() is None
        _, [other] = await new_ones(stores, 1)
        assert await stores.imports.apply_next()
        assert not await stores.imports.apply_next()
        assert await sizes(stores) == {other: 2}
        last: Stepped | None = None
        for _ in range(applying.MOST_TRIES - 1):
            await stores.elapse(timedelta(minutes=2))
            last = await stores.imports.step()
        assert last is not None
        assert last.left_out is LeftOut.FAILED
        await stores.elapse(timedelta(minutes=2))
        done = await finished(stores.imports, TEACHER, record)
    finally:
        await direct.execute(MEND)
    assert (done.state, done.left_out) == (ImportState.APPLIED, (bad,))
    assert await sizes(stores) == {other: 2, good: 1}


async def test_an_import_whose_only_class_fails_has_failed(
    stores: Stores, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MOST_TRIES", 1)
    record = await planned(
        stores.imports, TEACHER, row(CREATED, None, new_id(), **name("Ada", "Poison"))
    )
    await begun(stores.imports, TEACHER, record)
    await direct.execute(BREAK)
    try:
        failed = await stores.imports.step()
    finally:
        await direct.execute(MEND)
    assert failed is not None
    assert (failed.record.state, failed.left_out) == (ImportState.FAILED, LeftOut.FAILED)


Meanwhile = Callable[[Stores, UUID, UUID], Coroutine[Any, Any, None]]


async def deletes_class(stores: Stores, class_id: UUID, _: UUID) -> None:
    with suppress(ClassNotFoundError):
        await stores.classes.delete_class(TEACHER, class_id)


async def deletes_student(stores: Stores, _: UUID, student_id: UUID) -> None:
    with suppress(StudentNotFoundError):
        await stores.classes.delete_student(TEACHER, student_id)


async def changes_student(stores: Stores, _: UUID, student_id: UUID) -> None:
    change = StudentChange(email=EmailChange("ny@b.example"))
    await stores.classes.update_student(TEACHER, student_id, change)


async def joins(stores: Stores, class_id: UUID, _: UUID) -> None:
    await make_student(stores, TEACHER, new_student(class_ids=[class_id]))


@pytest.mark.parametrize("meanwhile", [deletes_class, deletes_student, changes_student, joins])
async def test_what_people_do_at_the_same_time_comes_before_or_after(
    stores: Stores, direct: asyncpg.Connection, meanwhile: Meanwhile
) -> None:
    room = await make_classroom(stores, 2)
    changed, leaves = room.students
    record = await planned(
        stores.imports,
        TEACHER,
        row(UPDATED, room.id, changed, **name("Eva", "Dahl")),
        row(LEFT, room.id, leaves),
        row(CREATED, room.id, new_id(), **name("Ada", "Ek")),
    )
    await begun(stores.imports, TEACHER, record)
    async with direct.transaction():
        await direct.execute("select from students where id = $1 for update", changed)
        step = asyncio.create_task(stores.imports.step())
        await somebody_waits(direct)
        theirs = asyncio.create_task(meanwhile(stores, room.id, changed))
        await asyncio.sleep(0.1)
    async with asyncio.timeout(30):
        done, _ = await asyncio.gather(step, theirs)
    assert done is not None
    assert done.error is None
    assert done.record.state in {ImportState.APPLIED, ImportState.FAILED}
    state = await stores.imports.roster_state("teacher-1", None)
    first_names = {one.name.first_name for one in state.students.values()}
    assert ("Ada" in first_names) is done.applied


async def somebody_waits(connection: asyncpg.Connection) -> None:
    """Return once a transaction waits for another one's lock."""
    async with asyncio.timeout(30):
        for pause in itertools.repeat(0.01):
            if await connection.fetchval(WAITING):
                return
            await asyncio.sleep(pause)


async def test_an_address_that_somebody_takes_at_the_same_moment_leaves_the_class_out(
    stores: Stores, direct: asyncpg.Connection
) -> None:
    room = await make_classroom(stores, 1)
    record = await planned(
        stores.imports, TEACHER, row(UPDATED, room.id, room.students[0], email="a@b.example")
    )
    await begun(stores.imports, TEACHER, record)
    async with direct.transaction():
        await direct.execute(
            """
            insert into students (id, owner_id, first_name, last_name, legal_full_name, email,
                email_key)
            values ($1, 'teacher-1', 'Bo', 'Berg', 'Bo Berg', 'A@b.example', 'a@b.example')
            """,
            new_id(),
        )
        step = asyncio.create_task(stores.imports.step())
        await somebody_waits(direct)
    done = await step
    assert done is not None
    assert done.left_out is LeftOut.CONFLICT
    await direct.execute("delete from students where first_name = 'Bo'")  # was not remembered


async def test_two_imports_that_touch_the_same_take_turns(
    stores: Stores, another_worker: PostgresImports
) -> None:
    room = await make_classroom(stores, 1)
    records = [
        await planned(
            stores.imports, TEACHER, row(UPDATED, room.id, room.students[0], **name(first, "Ek"))
        )
        for first in ("Ada", "Eva")
    ]
    for record in records:
        await begun(stores.imports, TEACHER, record)
    steps = await asyncio.gather(stores.imports.step(), another_worker.step())
    outcomes = sorted(str(one and one.left_out) for one in steps)
    assert outcomes == ["None", "moved"]


async def test_a_large_class_is_applied_in_pieces_of_a_transaction(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_steps, "STUDENTS_AT_ONCE", 3)
    room = await make_classroom(stores, 7)
    keep, gone = room.students[:5], room.students[5:]
    record = await planned(
        stores.imports,
        TEACHER,
        *(row(UPDATED, room.id, one, email=f"{one}@b.example") for one in keep),
        *(row(LEFT, room.id, one) for one in gone),
        *(row(CREATED, room.id, new_id(), **name("Ada", "Ek")) for _ in range(7)),
    )
    await begun(stores.imports, TEACHER, record)
    done = await finished(stores.imports, TEACHER, record)
    assert (done.state, done.left_out) == (ImportState.APPLIED, ())
    assert await sizes(stores) == {room.id: 12}
