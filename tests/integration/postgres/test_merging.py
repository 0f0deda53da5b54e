"""Merging two students while others change them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from devstack.rig.database import connected
from rules.models import Policy
from store.postgres import sql
from tests.integration.store.builders import Stores, caller, make_class, make_student, new_student
from tests.support.stores import postgres_stores

WAITING: Final = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'
"""
JOIN: Final = "insert into enrollments (class_id, student_id, owner_id) values ($1, $2, $3)"
TAKE_CLASS: Final = "select from classes where id = $1 for update"
TAKE_STUDENTS: Final = "select from students where id = any($1::uuid[]) for update nowait"


@pytest.fixture
async def stores(migrated_database: str) -> AsyncIterator[Stores]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield stores


async def waiting(connection: "asyncpg.Connection[asyncpg.Record]", many: int) -> None:
    """Wait until so many wait for locks."""
    async with asyncio.timeout(30):
        while await connection.fetchval(WAITING) < many:  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)


async def test_students_are_not_kept_while_a_class_is_waited_for_that_one_joined_meanwhile(
    stores: Stores, migrated_database: str
) -> None:
    teacher = caller()
    cls = await make_class(stores, teacher)
    both = [(await make_student(stores, teacher, new_student(name))).id for name in ("A", "B")]
    async with (
        connected(migrated_database) as joiner,
        connected(migrated_database) as deleter,
        asyncio.TaskGroup() as group,
        deleter.transaction(),
    ):
        async with joiner.transaction():
            await joiner.execute(sql.students.LOCK_STUDENTS, both[:1])
            merging = group.create_task(stores.classes.merge_students(teacher, *both))
            await waiting(joiner, 1)
            await joiner.execute(JOIN, cls.id, both[0], teacher.user_id)
            deleting = group.create_task(deleter.execute(TAKE_CLASS, cls.id))
            await waiting(joiner, 2)
        await deleting
        await waiting(joiner, 1)
        await deleter.execute(TAKE_STUDENTS, both)
    assert merging.result().class_ids == (cls.id,)
