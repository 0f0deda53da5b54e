"""`class-management batch show` against a running service: the whole story of a batch."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from devstack.rig.database import Database
from devstack.rig.http import MARK, Teacher, no, yes
from devstack.rig.kafka import (
    ASSOCIATION_UPDATED,
    CONFIRMED,
    DEAD_SUGGESTIONS,
    NOTIFICATIONS,
    TIMERS,
    Message,
    Topics,
)
from devstack.rig.service import Host
from devstack.rig.suggestions import TOPIC, Suggested, suggest
from devstack.rig.waiting import until
from devstack.stack import PREFIX
from tests.support.command_line import Done, call, nowhere

DONE, SOME_NOT, TROUBLE = 0, 1, 2

Json = dict[str, Any]

pytestmark = pytest.mark.usefixtures("service")


async def show(host: Host, *arguments: str, **settings: str) -> Done:
    own = {PREFIX + name: value for name, value in settings.items()}
    done = await call("batch", "show", *arguments, environ={**host.command_environ(), **own})
    return done.but_for_damage()


async def told(host: Host, wanted: str, *arguments: str) -> Json:
    done = await show(host, wanted, "--json", *arguments)
    assert (done.code, done.err) == (DONE, ""), done
    assert MARK not in done.out
    [document] = done.lines
    return dict(document)


async def corrected(teacher: Teacher, topics: Topics) -> Suggested:
    """Have a batch decided by all three, closed, corrected, and a message that comes too late."""
    roster = await teacher.new_roster(3)
    first, second, certain = roster.student_ids
    batch = suggest(roster.class_id, [(first, 0.9)], [], [(certain, 1.0)])
    await topics.suggest(batch, key="another key")
    await teacher.stored(batch.batch_id, 3)
    essay, other, _ = batch.essay_ids
    assert (await teacher.confirm(batch.batch_id, yes(essay), no(other))).status == 200
    await topics.expect(CONFIRMED, batch.batch_id)
    path = f"/v1/batches/{batch.batch_id}/student-associations/{essay}"
    await teacher.done("PUT", path, {"student_id": second})
    late = suggest(roster.class_id, [(first, 0.9)], batch_id=batch.batch_id)
    await topics.suggest(late)
    await topics.expect(DEAD_SUGGESTIONS, batch.batch_id)
    await topics.all_of(ASSOCIATION_UPDATED, batch.batch_id)
    return batch


def placed(document: Json, step: str) -> list[tuple[str, int, int]]:
    return [
        (one["topic"], one["partition"], one["offset"])
        for one in document["steps"]
        if one["step"] == step
    ]


def at(message: Message) -> tuple[str, int, int]:
    return message.topic, message.partition, message.offset


async def test_the_whole_story_is_told_in_order(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    batch = await corrected(teacher, topics)
    story = await told(host, batch.batch_id)
    assert (story["batch_id"], story["correlation_id"]) == (batch.batch_id, batch.correlation_id)
    assert (story["owner_id"], story["state"], story["pending"]) == (teacher.id, "closed", 0)
    assert story["events_missing"] is None
    instants = [one["at"] for one in story["steps"]]
    assert instants == sorted(instants)

    by_step: dict[str, list[Json]] = {}
    for one in story["steps"]:
        by_step.setdefault(one["step"], []).append(one)
    [suggested], [armed] = by_step["suggested"], by_step["armed"]
    assert (suggested["essays"], suggested["suggested"], suggested["unmatched"]) == (3, 2, 1)
    assert (armed["essays"], armed["deadline"]) == (2, story["essays"][0]["confirm_by"])
    auto, human = by_step["decided"]
    assert (auto["method"], auto["confirmed"]) == ("auto", 1)
    assert (human["by"], human["confirmed"], human["rejected"]) == (teacher.id, 1, 1)
    [correction] = by_step["corrected"]
    assert (correction["by"], correction["confirmed"]) == (teacher.id, 1)
    assert len(by_step["closed"]) == 1
    assert by_step["received"][0]["event_id"] == batch.event_id
    assert [one["kind"] for one in by_step["notified"]] == [
        "student_matches_suggested",
        "student_associations_confirmed",
    ]
    assert [one["reason"] for one in by_step["dead_letter"]] == ["batch_closed"]

    [essay] = [one for one in story["essays"] if one["essay_id"] == batch.essay_ids[0]]
    assert [one["validation_method"] for one in essay["decisions"]] == ["human", "human"]


async def test_what_lies_in_kafka_is_told_with_its_place(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    batch = await corrected(teacher, topics)
    story = await told(host, batch.batch_id)
    key = batch.batch_id
    events = [
        *await topics.expect(CONFIRMED, key),
        *await topics.expect(ASSOCIATION_UPDATED, key),
        *await topics.expect(TIMERS, key, 2),
    ]
    assert sorted(placed(story, "event")) == sorted(map(at, events))
    notified = [m for m in await topics.all_of(NOTIFICATIONS, teacher.id) if m.data["batch_id"]]
    assert placed(story, "notified") == [at(one) for one in notified]
    [letter] = await topics.expect(DEAD_SUGGESTIONS, key)
    assert placed(story, "dead_letter") == [at(letter)]
    received = placed(story, "received")
    assert {topic for topic, _, _ in received} == {TOPIC}
    assert received[-1] == (
        TOPIC,
        int(letter.header("dlt-partition")),
        int(letter.header("dlt-offset")),
    )


async def test_a_person_reads_it_by_any_of_its_ids(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    batch = await corrected(teacher, topics)
    by_id = await show(host, batch.batch_id)
    assert (by_id.code, by_id.err) == (DONE, ""), by_id
    for said in (
        "state        closed, 3 essays",
        "3 essays, 2 suggested, 1 unmatched",
        "by the service, being certain, 1 confirmed",
        f"by {teacher.id}, 1 confirmed, 1 rejected",
        "batch_closed",
    ):
        assert said in by_id.out
    assert MARK not in by_id.out
    assert (await show(host, batch.essay_ids[1])).out == by_id.out
    by_correlation = await show(host, batch.correlation_id, "--essays")
    assert by_correlation.code == DONE
    assert batch.batch_id in by_correlation.out
    [line] = [x for x in by_correlation.out.splitlines() if x.startswith("by this id")]
    assert all(essay_id in line for essay_id in batch.essay_ids)


async def test_several_batches_of_a_correlation_id_are_told_one_after_the_other(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    class_id = await teacher.new_class()
    one = suggest(class_id, [])
    other = suggest(class_id, [])
    other.envelope["correlation_id"] = one.correlation_id
    for batch in (one, other):
        await topics.suggest(batch)
        await teacher.stored(batch.batch_id)
    done = await show(host, one.correlation_id, "--json", "--no-events")
    assert (done.code, done.err) == (DONE, "")
    assert [x["batch_id"] for x in done.lines] == sorted([one.batch_id, other.batch_id])


async def test_what_waits_for_its_class_is_told(
    host: Host, topics: Topics, database: Database
) -> None:
    batch = suggest(str(uuid4()), [])
    await topics.suggest(batch)
    parked = "select count(*) from parked where batch_id = $1"
    await until("a parked message", lambda: database.value(parked, UUID(batch.batch_id)))
    await database.keep_parked(batch.batch_id)  # a command takes a while to start
    story = await told(host, batch.batch_id)
    assert (story["state"], story["essays"]) == ("parked", [])
    assert [one["step"] for one in story["steps"]] == ["received", "parked"]
    assert placed(story, "received") == placed(story, "parked")


async def test_an_unknown_id_is_a_no_with_one_line(host: Host) -> None:
    wanted = str(uuid4())
    done = await show(host, wanted)
    assert (done.code, done.out) == (SOME_NOT, "")
    [line] = done.err.splitlines()
    assert f"no batch, essay or correlation id {wanted}" in line
    assert (await show(host, "42")).code == TROUBLE


async def test_without_kafka_the_rest_is_told_and_it_is_said(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    batch = await corrected(teacher, topics)
    away = {"KAFKA_BOOTSTRAP_SERVERS": nowhere()}
    done = await show(host, batch.batch_id, "--json", **away)
    assert done.code == TROUBLE
    [story] = done.lines
    assert story["events_missing"]
    [line] = done.err.splitlines()
    assert line.startswith(f"class-management: not all events of batch {batch.batch_id}: Kafka at")
    assert "event" not in [one["step"] for one in story["steps"]]
    assert "corrected" in [one["step"] for one in story["steps"]]
    without = await show(host, batch.batch_id, "--json", "--no-events", **away)
    assert (without.code, without.err) == (DONE, "")
    assert without.lines[0]["steps"] == story["steps"]
    late = await show(host, batch.batch_id, "--json", "--timeout", "0.001")
    assert late.code == TROUBLE
    assert "--timeout" in late.err


async def test_what_came_before_since_is_left_out(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    batch = await corrected(teacher, topics)
    story = await told(host, batch.batch_id, "--since", "2100-01-01T00:00:00Z")
    assert [one for one in story["steps"] if "offset" in one] == []
    assert (await show(host, batch.batch_id, "--since", "whenever")).code == TROUBLE
