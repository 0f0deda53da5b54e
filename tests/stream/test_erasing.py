"""`class-management privacy` beside a running service: the relay publishes what it deletes."""

from typing import Any

import orjson
import pytest

from devstack.rig.http import MARK, Teacher, yes
from devstack.rig.kafka import (
    ASSOCIATION_UPDATED,
    CLASS_DELETED,
    CONFIRMED,
    STUDENT_DELETED,
    Topics,
)
from devstack.rig.service import Host
from devstack.rig.suggestions import suggest
from devstack.stack import PREFIX
from tests.support.command_line import Done, call
from tests.support.personal import found

DONE, NO = 0, 1

pytestmark = pytest.mark.usefixtures("service")


async def privacy(host: Host, *arguments: str) -> Done:
    return await call("privacy", *arguments, environ=host.command_environ())


async def test_a_student_and_then_its_teacher_are_erased(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(2)
    student, mate = roster.student_ids
    batch = suggest(roster.class_id, [(student, 0.9)], [(mate, 0.9)])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=2)
    decided = batch.essay_ids[0]
    assert (await teacher.confirm(batch.batch_id, yes(decided))).status == 200

    done = await privacy(host, "erase", "--student", student, "--yes")
    assert done.code == DONE, done.err
    assert MARK not in done.out + done.err
    await topics.expect_one(STUDENT_DELETED, student)
    moved = await topics.expect_one(ASSOCIATION_UPDATED, batch.batch_id)
    assert moved.data["last_name"] == "STUDENT"
    assert (await teacher.send("GET", f"/v1/classes/students/{student}")).status == 404
    export = str(await exported(host, student=mate))
    assert mate in export
    assert student not in export

    done = await privacy(host, "erase", "--user", teacher.id, "--yes")
    assert done.code == DONE, done.err
    await topics.expect_one(CLASS_DELETED, roster.class_id)
    await topics.expect_one(STUDENT_DELETED, mate)
    closed = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert len(closed.data["associations"]) == 2
    assert await found(host.command_environ()[PREFIX + "DATABASE_URL"], teacher.id) == set()
    assert (await privacy(host, "export", "--user", teacher.id)).code == NO
    assert (await teacher.send("GET", "/v1/classes")).json["classes"] == []


async def exported(host: Host, **subject: str) -> Any:  # noqa: ANN401  # any JSON
    [(kind, of_id)] = subject.items()
    done = await privacy(host, "export", f"--{kind}", of_id)
    assert done.code == DONE, done.err
    return orjson.loads(done.out)
