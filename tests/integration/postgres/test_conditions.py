"""Conditions hold at the moment of the write: under its locks, with nothing in between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from devstack.rig.database import connected
from rules.conditions import Condition
from rules.errors import PreconditionFailedError
from rules.models import ClassChange, HumanDecision, Policy, StudentChange
from rules.tags import tag_of
from store.postgres import roster
from store.postgres.database import Database, PoolConfig
from tests.integration.store.builders import (
    Stores,
    caller,
    make_batch,
    make_class,
    make_classroom,
    make_student,
    new_student,
)
from tests.integration.store.test_condition_conformance import WRITES, World
from tests.support.stores import postgres_stores

WAITING: Final = "select count(*) from pg_locks where not granted"

#: What another transaction does to each thing while the write waits for it.
MEANWHILE: Final[dict[str, tuple[str, str]]] = {
    "update_class": (
        "select from classes where id = '{class_id}' for update",
        "delete from enrollments where class_id = '{class_id}' and student_id = '{student_id}'",
    ),
    "delete_class": (
        "select from classes where id = '{class_id}' for update",
        "update students set first_name = 'x' where id = '{student_id}'",
    ),
    "update_student": (
        "select from students where id = '{student_id}' for update",
        "update students set first_name = 'x' where id = '{student_id}'",
    ),
    "delete_student": (
        "select from students where id = '{student_id}' for update",
        "delete from enrollments where student_id = '{student_id}'",
    ),
    "confirm": (
        "select from batches where id = '{batch_id}' for update",
        "update associations set filename = 'x' where essay_id = '{decided_id}'",
    ),
    "correct": (
        "select from batches where id = '{batch_id}' for update",
        "update associations set filename = 'x' where essay_id = '{decided_id}'",
    ),
}


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


@pytest.fixture
async def direct(migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(migrated_database) as connection:
        yield connection


async def somebody_waits(migrated_database: str) -> None:
    async with connected(migrated_database) as connection, asyncio.timeout(30):
        while not await connection.fetchval(WAITING):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)


async def world_in(stores: Stores) -> World:
    batch = await make_batch(stores, 0.9, 0.8)
    room = batch.room
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(room.teacher, batch.id, [decision])
    return World(stores, room.teacher, room.id, room.students[0], batch.id, *batch.essays)


@pytest.mark.parametrize("name", WRITES)
async def test_what_changes_while_a_write_waits_for_its_lock_is_seen(
    migrated_database: str, stores: Stores, direct: asyncpg.Connection, name: str
) -> None:
    world = await world_in(stores)
    tag, write, _ = WRITES[name]
    condition = Condition(frozenset({await tag(world)}))
    lock, change = (text.format(**names(world)) for text in MEANWHILE[name])
    async with direct.transaction():
        await direct.execute(lock)
        writing = asyncio.ensure_future(write(world, condition))
        await somebody_waits(migrated_database)
        await direct.execute(change)
    with pytest.raises(PreconditionFailedError):
        await writing


def names(world: World) -> dict[str, object]:
    return {name: getattr(world, name) for name in World.__dataclass_fields__}


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    config = PoolConfig(
        migrated_database, 1, 2, acquire_timeout=30, command_timeout=30, changes=False
    )
    database = Database(config)
    yield database
    await database.close()


@pytest.mark.parametrize("moves", ["joins", "leaves"])
async def test_nobody_joins_or_leaves_between_the_check_and_the_commit(
    migrated_database: str, stores: Stores, database: Database, moves: str
) -> None:
    room = await make_classroom(stores, 1)
    teacher = room.teacher
    document = await stores.classes.class_document(teacher.user_id, room.id)
    condition = Condition(frozenset({tag_of(document)}))
    leaving = StudentChange(remove_class_ids=(room.id,))
    async with database.acquire() as connection, connection.transaction():
        change = ClassChange(name="9B")
        await roster.update_class(connection, teacher, room.id, change, condition)
        moving: asyncio.Future[object] = asyncio.ensure_future(
            make_student(stores, teacher, new_student("Bo", class_ids=[room.id]))
            if moves == "joins"
            else stores.classes.update_student(teacher, room.students[0], leaving)
        )
        await somebody_waits(migrated_database)
        assert not moving.done()
    await moving


async def test_a_write_without_a_condition_keeps_nobody_from_joining(
    stores: Stores, database: Database
) -> None:
    teacher = caller()
    cls = await make_class(stores, teacher)
    async with database.acquire() as connection, connection.transaction():
        await roster.update_class(connection, teacher, cls.id, ClassChange(name="9B"))
        await make_student(stores, teacher, new_student("Bo", class_ids=[cls.id]))
