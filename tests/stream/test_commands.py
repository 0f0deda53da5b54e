"""Commands over Kafka: their results and events, whatever happens meanwhile."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from devstack.rig.database import Database
from devstack.rig.http import MARK, Teacher
from devstack.rig.kafka import (
    CLASS_CREATED,
    CLASS_UPDATED,
    COMMAND_RESULTS,
    COMMANDS,
    CONFIRMED,
    DEAD_COMMANDS,
    STUDENT_CREATED,
    STUDENT_UPDATED,
    Message,
    Topics,
)
from devstack.rig.outages import stopped
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from tests.support.commands import envelope, name, student

AWAY_SECONDS: Final = 3.0
ROUNDS: Final = 40

Json = dict[str, Any]

pytestmark = pytest.mark.timeout(240)


async def send(topics: Topics, *commands: Json) -> None:
    """Send commands with the acting user as the key."""
    for command in commands:
        value = json.dumps(command).encode()
        await topics.send(value, command["data"]["user_id"], topic=COMMANDS)


async def results(topics: Topics, commands: Sequence[Json]) -> list[Json]:
    """Wait for the first result of each command; return these in the order of the commands."""
    found = [await topics.expect(COMMAND_RESULTS, command["event_id"]) for command in commands]
    return [messages[0].data for messages in found]


async def done(topics: Topics, *commands: Json) -> list[Json]:
    await send(topics, *commands)
    return await results(topics, commands)


def statuses(of: Sequence[Json]) -> list[str]:
    return [one["status"] for one in of]


async def test_all_commands_at_once_depend_on_each_other(teacher: Teacher, topics: Topics) -> None:
    class_id, other_id, student_id = uuid4(), uuid4(), uuid4()
    user = teacher.id
    row = student(f"{MARK}.{uuid4().hex}@skola.example")
    told = await done(
        topics,
        envelope("class.create", user, class_id=class_id, name="9A", course_codes=["SV1"]),
        envelope("class.create", user, class_id=other_id, name="9B", course_codes=["SV1"]),
        envelope("student.create", user, **student(None, student_id, class_ids=[class_id])),
        envelope("roster.register", user, class_id=class_id, students=[row, student()]),
        envelope("class.update", user, class_id=class_id, name="9C"),
        envelope("student.update", user, student_id=student_id, add_class_ids=[other_id]),
        envelope("class.delete", user, class_id=other_id),
    )
    assert statuses(told) == ["applied"] * 7
    assert told[2]["entity_ids"] == [str(student_id)]
    detail = await teacher.done("GET", f"/v1/classes/{class_id}")
    assert (detail["name"], detail["student_count"]) == ("9C", 3)
    assert {s["id"] for s in detail["students"]} == {str(student_id), *told[3]["entity_ids"]}
    event = await topics.expect_one(STUDENT_CREATED, told[3]["entity_ids"][0])
    assert event.data["student_email"] == row["email"]
    created = await topics.expect_one(CLASS_CREATED, str(class_id))
    assert created.data["class_designation"] == "9A"

    batch = suggest(str(class_id), [(str(student_id), 0.9)])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id)
    (essay,) = batch.essay_ids
    told = await done(
        topics,
        envelope(
            "associations.confirm",
            user,
            batch_id=batch.batch_id,
            associations=[{"essay_id": essay, "confirmed": True}],
        ),
        envelope("student.delete", user, student_id=student_id),
    )
    assert statuses(told) == ["applied"] * 2
    closed = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert closed.data["associations"][0]["validated_by"] == user


async def test_a_roster_is_registered_in_a_second_class(teacher: Teacher, topics: Topics) -> None:
    first, second = await teacher.new_class(), await teacher.new_class()
    rows = [student(f"{uuid4().hex}@skola.example") for _ in range(3)]
    other = {**rows[0], "person_name": name("Eva")}
    told = await done(
        topics,
        envelope("roster.register", teacher.id, class_id=first, students=rows),
        envelope("roster.register", teacher.id, class_id=second, students=rows),
        envelope("roster.register", teacher.id, class_id=second, students=[other]),
        envelope("student.create", teacher.id, **other),
    )
    assert statuses(told) == ["applied", "applied", "rejected", "rejected"]
    pupils = told[0]["entity_ids"]
    assert told[1]["entity_ids"] == pupils
    updated = await topics.expect_one(STUDENT_UPDATED, pupils[0])
    assert updated.data["add_class_ids"] == [second]
    assert [fault["student_id"] for fault in told[2]["errors"]] == [pupils[0]]
    assert (told[3]["error_code"], told[3]["student_id"]) == ("STUDENT_EMAIL_CONFLICT", pupils[0])
    found = await teacher.done("GET", f"/v1/classes/students?class_id={second}")
    assert {one["id"] for one in found["students"]} == set(pupils)


async def test_refusals_are_results_and_name_places(teacher: Teacher, topics: Topics) -> None:
    theirs = await teacher.http.teacher().new_class()
    mine = await teacher.new_class()
    rows = [student(), {"person_name": name(), "email": f"{MARK} at home"}]
    told = await done(
        topics,
        envelope("class.delete", teacher.id, class_id=theirs),
        envelope("class.create", teacher.id, name="9A"),
        envelope("roster.register", teacher.id, class_id=mine, students=rows),
        envelope("class.update", teacher.id, class_id=mine, name="9D"),
    )
    assert [one["error_code"] for one in told] == [
        "CLASS_NOT_FOUND",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
        None,
    ]
    assert [e["pointer"] for e in told[1]["errors"]] == ["/course_codes"]
    assert [e["pointer"] for e in told[2]["errors"]] == ["/students/1/email"]
    assert MARK not in json.dumps(told)
    assert (await teacher.done("GET", f"/v1/classes/{mine}"))["student_count"] == 0


async def test_what_cannot_be_answered_is_dead_lettered_whole(
    teacher: Teacher, topics: Topics
) -> None:
    unknown = envelope("class.rename", teacher.id, class_id=str(uuid4()))
    anonymous = envelope("class.delete", "", class_id=str(uuid4()))
    values = [b"{", b"", None, *(json.dumps(one).encode() for one in (unknown, anonymous))]
    headers = (("traceparent", b"garbage"), ("raw", b"\xff\0"))
    places = [await topics.send(value, teacher.id, headers, COMMANDS) for value in values]
    (behind,) = await done(
        topics, envelope("class.create", teacher.id, name="9A", course_codes=["SV1"])
    )
    assert behind["status"] == "applied"
    letters = await topics.expect(DEAD_COMMANDS, teacher.id, len(values))
    assert [letter.value for letter in letters] == values
    reasons = ["unreadable"] * 3 + ["invalid_message"] * 2
    for letter, place, reason in zip(letters, places, reasons, strict=True):
        assert letter.headers[:2] == headers
        assert letter.header("dlt-reason") == reason
        assert letter.header("dlt-topic") == COMMANDS
        assert (letter.header("dlt-partition"), letter.header("dlt-offset")) == (
            str(place[0]),
            str(place[1]),
        )
    assert topics.now(COMMAND_RESULTS, unknown["event_id"]) == []


async def test_a_command_sent_again_is_a_duplicate_also_after_a_restart(
    service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    create = envelope("class.create", teacher.id, name="9A", course_codes=["SV1"])
    (first,) = await done(topics, create)
    await send(topics, create)
    told = await topics.expect(COMMAND_RESULTS, create["event_id"], 2)
    assert statuses([one.data for one in told]) == ["applied", "duplicate"]
    service.kill()
    await asyncio.to_thread(service.again)
    await send(topics, create)
    behind = envelope("class.create", teacher.id, name="9B", course_codes=["SV1"])
    await done(topics, behind)
    again = await topics.all_of(COMMAND_RESULTS, create["event_id"])
    # What the kill has Kafka bring again is told from what its sender has sent again.
    assert statuses(firsts(again)) == ["applied", "duplicate", "duplicate"]
    (class_id,) = first["entity_ids"]
    assert len(firsts(await topics.all_of(CLASS_CREATED, class_id))) == 1
    assert len((await teacher.done("GET", "/v1/classes"))["classes"]) == 2


async def test_while_postgresql_is_away_commands_wait_in_their_order(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics, database: Database
) -> None:
    process = service.pid
    class_id = await teacher.new_class()
    changes = [
        envelope("class.update", teacher.id, class_id=class_id, name=f"Klass {n}")
        for n in range(ROUNDS)
    ]
    await send(topics, *changes[: ROUNDS // 4])
    async with stopped(host.server("postgres")):
        for change in changes[ROUNDS // 4 :]:
            await send(topics, change)
            await asyncio.sleep(AWAY_SECONDS / ROUNDS)
    told = await results(topics, changes)
    assert statuses(told) == ["applied"] * ROUNDS
    await topics.settle()
    updates = topics.now(CLASS_UPDATED, class_id)
    names = list(dict.fromkeys(one.data["class_designation"] for one in updates))
    assert names == [f"Klass {n}" for n in range(ROUNDS)]
    assert topics.now(DEAD_COMMANDS, teacher.id) == []
    assert [len(distinct(topics, change)) for change in changes] == [1] * ROUNDS
    sql = "select version from classes where id = $1"
    assert await database.value(sql, UUID(class_id)) == ROUNDS + 1
    assert service.pid == process


def firsts(messages: Sequence[Message]) -> list[Json]:
    """Return each event as it came first: one that a killed relay had sent may come again."""
    seen: dict[str, Json] = {}
    for message in messages:
        seen.setdefault(message.event_id, message.data)
    return list(seen.values())


def distinct(topics: Topics, command: Json) -> set[str]:
    """Return the results of a command, of which the relay may have sent one twice."""
    of: list[Message] = topics.now(COMMAND_RESULTS, command["event_id"])
    return {one.event_id for one in of}
