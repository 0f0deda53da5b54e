"""Commands that come as messages: what every store promises."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from rules import topics
from rules.commands.orders import ClassCreate, CommandDelivery
from rules.commands.results import CommandResult, CommandStatus
from rules.dead_letters.messages import DeadLetter, Reason
from rules.errors import ClassNotFoundError, DataRefusedError
from rules.ids import new_id
from rules.models import NewClass
from rules.progress import Progress
from rules.suggestions import Outcome
from tests.integration.store.builders import (
    Published,
    StoredBatch,
    Stores,
    by_topic,
    caller,
    make_batch,
    make_class,
    make_classroom,
    make_student,
    new_class,
    new_student,
    store_one,
    suggest,
)
from tests.integration.store.builders import deliver as suggestions
from tests.integration.store.builders import result as suggestion_result
from tests.support.commands import TEACHER, anew, deliver, name, student
from tests.unit.rules import members

APPLIED, DUPLICATE, REJECTED = CommandStatus
OTHER = "teacher-2"
EVENTS = (
    topics.CLASS_CREATED,
    topics.CLASS_UPDATED,
    topics.CLASS_DELETED,
    topics.STUDENT_CREATED,
    topics.STUDENT_UPDATED,
    topics.STUDENT_DELETED,
    topics.ASSOCIATIONS_CONFIRMED,
)


async def apply(stores: Stores, *deliveries: CommandDelivery) -> list[CommandResult]:
    return await stores.commands.apply_commands(deliveries)


async def apply_one(stores: Stores, command: str, user_id: str = TEACHER, **given: Any) -> Any:  # noqa: ANN401
    [result] = await apply(stores, deliver(command, user_id, **given))
    return result


def pointers(result: CommandResult) -> list[str]:
    return [fault.pointer for fault in result.errors]


def statuses(results: Sequence[CommandResult]) -> list[CommandStatus]:
    return [result.status for result in results]


def events(published: Sequence[Published]) -> list[tuple[str, str | None]]:
    """Return what was published of changes: topic and key."""
    return [(one.topic, one.key) for one in published if one.topic in EVENTS]


# --- each command ------------------------------------------------------------------------------


async def test_class_is_made_with_its_event_and_its_result(stores: Stores) -> None:
    delivery = deliver("class.create", name="9A", course_codes=["SV1"])
    [result] = await apply(stores, delivery)
    assert (result.status, result.error_code, result.detail) == (APPLIED, None, None)
    [class_id] = result.entity_ids
    record = (await stores.rosters.get_class(TEACHER, class_id)).record
    assert (record.name, record.course_code) == ("9A", "SV1")
    published = by_topic(await stores.published())
    assert published.keys() == {
        topics.CLASS_CREATED,
        topics.NOTIFICATION_REQUESTED,
        topics.COMMAND_RESULTS,
    }
    [told] = published[topics.COMMAND_RESULTS]
    trace = delivery.command.caller.trace
    assert set(told.envelope) == members.ENVELOPE
    assert told.envelope["correlation_id"] == str(trace.correlation_id)
    assert set(told.data) == members.COMMAND_RESULT
    assert told.key == told.data["command_id"] == str(delivery.command.event_id)
    assert (told.data["command"], told.data["status"]) == ("class.create", "applied")
    assert told.data["entity_ids"] == [str(class_id)]
    assert (told.data["error_code"], told.data["detail"], told.data["errors"]) == (None, None, [])
    [created] = published[topics.CLASS_CREATED]
    assert created.envelope["correlation_id"] == str(trace.correlation_id)


async def test_commands_of_one_list_depend_on_each_other(stores: Stores) -> None:
    class_id, other_id, student_id = new_id(), new_id(), new_id()
    results = await apply(
        stores,
        deliver("class.create", class_id=class_id, name="9A", course_codes=["SV1"]),
        deliver("class.create", class_id=other_id, name="9B", course_codes=["SV1"]),
        deliver("student.create", **student("a@b.example", student_id, class_ids=[class_id])),
        deliver("class.update", class_id=class_id, name="9C"),
        deliver("student.update", student_id=student_id, email=None, add_class_ids=[other_id]),
        deliver("roster.register", class_id=other_id, students=[student("a@b.example")]),
        deliver("class.delete", class_id=class_id),
        deliver("student.delete", student_id=student_id),
    )
    assert statuses(results) == [APPLIED] * 8
    assert [r.entity_ids for r in results[:5]] == [
        (class_id,),
        (other_id,),
        (student_id,),
        (class_id,),
        (student_id,),
    ]
    [registered] = results[5].entity_ids
    assert [s.id for s in await stores.rosters.roster(other_id, TEACHER)] == [registered]
    with pytest.raises(ClassNotFoundError):
        await stores.rosters.get_class(TEACHER, class_id)
    published = await stores.published()
    told: dict[str | None, list[str]] = {}
    for topic, key in events(published):
        told.setdefault(key, []).append(topic)
    assert told == {
        str(class_id): [topics.CLASS_CREATED, topics.CLASS_UPDATED, topics.CLASS_DELETED],
        str(other_id): [topics.CLASS_CREATED],
        str(student_id): [topics.STUDENT_CREATED, topics.STUDENT_UPDATED, topics.STUDENT_DELETED],
        str(registered): [topics.STUDENT_CREATED],
    }
    assert len([one for one in published if one.topic == topics.COMMAND_RESULTS]) == 8


async def test_confirming_closes_the_batch(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, None)
    first, second = batch.essays
    decisions = [
        {"essay_id": first, "confirmed": True},
        {"essay_id": second, "confirmed": False},
    ]
    result = await apply_one(
        stores, "associations.confirm", batch_id=batch.id, associations=decisions
    )
    assert (result.status, result.entity_ids) == (APPLIED, (batch.id,))
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert {a["essay_id"] for a in confirmed.data["associations"]} == set(map(str, batch.essays))
    contradiction = [{"essay_id": first, "confirmed": False}]
    result = await apply_one(
        stores, "associations.confirm", batch_id=batch.id, associations=contradiction
    )
    assert (result.status, result.error_code) == (REJECTED, "BATCH_CONFLICT")
    unknown = [{"essay_id": new_id(), "confirmed": True}]
    result = await apply_one(
        stores, "associations.confirm", batch_id=batch.id, associations=unknown
    )
    assert (result.status, result.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert pointers(result) == ["/associations/0/essay_id"]


async def test_a_decision_is_corrected_and_two_students_become_one(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    essay_id = batch.essays[0]
    first, second, third = batch.room.students
    correction: dict[str, Any] = {"batch_id": batch.id, "essay_id": essay_id}
    result = await apply_one(stores, "associations.correct", **correction, student_id=second)
    assert (result.status, result.error_code) == (REJECTED, "BATCH_CONFLICT")
    decision = {"essay_id": essay_id, "confirmed": True}
    await apply_one(stores, "associations.confirm", batch_id=batch.id, associations=[decision])
    await stores.published()
    for student_id in (second, None, second, second):
        result = await apply_one(
            stores, "associations.correct", **correction, student_id=student_id
        )
        assert (result.status, result.entity_ids) == (APPLIED, (batch.id, essay_id))
    result = await apply_one(stores, "student.merge", student_id=second, into=third)
    assert (result.status, result.entity_ids) == (APPLIED, (second, third))
    updated = await stores.published(topics.ASSOCIATION_UPDATED)
    assert [one.data["student_id"] for one in updated] == [
        str(second),
        None,
        str(second),
        str(third),
    ]
    past = await stores.associations.history(TEACHER, batch.id, essay_id)
    assert [one.student_id for one in past] == [first, third, None, third]


@pytest.mark.parametrize(
    ("command", "code", "pointer"),
    [
        ({"command": "associations.correct", "student_id": new_id()}, "VALIDATION_ERROR", 1),
        ({"command": "associations.correct"}, "VALIDATION_ERROR", 1),
        (
            {"command": "associations.correct", "essay_id": new_id(), "student_id": None},
            "ESSAY_NOT_FOUND",
            0,
        ),
        ({"command": "student.merge"}, "VALIDATION_ERROR", 1),
        ({"command": "student.merge", "into": new_id()}, "STUDENT_NOT_FOUND", 0),
    ],
)
async def test_what_cannot_be_mended_is_rejected(
    stores: Stores, command: dict[str, Any], code: str, pointer: int
) -> None:
    batch = await make_batch(stores, 0.9)
    decision = {"essay_id": batch.essays[0], "confirmed": True}
    await apply_one(stores, "associations.confirm", batch_id=batch.id, associations=[decision])
    given = {"batch_id": batch.id, "essay_id": batch.essays[0], **command}
    if command["command"] == "student.merge":
        given["student_id"] = batch.room.students[0]
    result = await apply_one(stores, given.pop("command"), **given)
    assert (result.status, result.error_code) == (REJECTED, code)
    assert len(pointers(result)) == pointer
    [shown] = (await stores.associations.get_batch(TEACHER, batch.id)).associations
    assert shown.association.student_id == batch.room.students[0]


async def test_student_merged_with_itself_is_rejected(stores: Stores) -> None:
    mine = await make_student(stores, caller(), new_student())
    result = await apply_one(stores, "student.merge", student_id=mine.id, into=mine.id)
    assert (result.status, result.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert pointers(result) == ["/into"]
    assert await stores.classes.get_student(TEACHER, mine.id) == mine


async def test_what_changes_nothing_is_applied_and_publishes_a_result_only(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    await stores.published()
    result = await apply_one(stores, "class.update", class_id=cls.id, name=cls.name)
    assert (result.status, result.entity_ids) == (APPLIED, (cls.id,))
    assert [one.topic for one in await stores.published()] == [topics.COMMAND_RESULTS]


# --- ownership ---------------------------------------------------------------------------------


async def everything_of_another(stores: Stores) -> StoredBatch:
    room = await make_classroom(stores, 2, caller(OTHER))
    return await make_batch(stores, 0.9, room=room)


@pytest.mark.parametrize("known", [True, False], ids=["of another user", "of nobody"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("class.update", "CLASS_NOT_FOUND"),
        ("class.delete", "CLASS_NOT_FOUND"),
        ("student.create", "CLASS_NOT_FOUND"),
        ("student.update", "STUDENT_NOT_FOUND"),
        ("student.update add", "CLASS_NOT_FOUND"),
        ("student.update remove", "CLASS_NOT_FOUND"),
        ("student.delete", "STUDENT_NOT_FOUND"),
        ("roster.register", "CLASS_NOT_FOUND"),
        ("roster.register row", "CLASS_NOT_FOUND"),
        ("associations.confirm", "BATCH_NOT_FOUND"),
        ("associations.correct", "BATCH_NOT_FOUND"),
        ("student.merge", "STUDENT_NOT_FOUND"),
        ("student.merge into", "STUDENT_NOT_FOUND"),
    ],
)
async def test_what_is_not_the_users_own_does_not_exist(
    stores: Stores, command: str, code: str, *, known: bool
) -> None:
    batch = await everything_of_another(stores)
    class_id = batch.room.id if known else new_id()
    student_id = batch.room.students[0] if known else new_id()
    batch_id = batch.id if known else new_id()
    own = await make_class(stores, caller())
    mine = await make_student(stores, caller(), new_student(class_ids=[own.id]))
    await stores.published()
    theirs = (await stores.rosters.get_class(OTHER, batch.room.id)).students
    given: dict[str, dict[str, Any]] = {
        "class.update": {"class_id": class_id, "name": "stolen"},
        "class.delete": {"class_id": class_id},
        "student.create": student(class_ids=[own.id, class_id]),
        "student.update": {"student_id": student_id, "person_name": name("stolen")},
        "student.update add": {"student_id": mine.id, "add_class_ids": [class_id]},
        "student.update remove": {"student_id": mine.id, "remove_class_ids": [class_id]},
        "student.delete": {"student_id": student_id},
        "roster.register": {"class_id": class_id, "students": [student()]},
        "roster.register row": {"class_id": own.id, "students": [student(class_ids=[class_id])]},
        "associations.confirm": {
            "batch_id": batch_id,
            "associations": [{"essay_id": batch.essays[0], "confirmed": True}],
        },
        "associations.correct": {
            "batch_id": batch_id,
            "essay_id": batch.essays[0],
            "student_id": None,
        },
        "student.merge": {"student_id": student_id, "into": mine.id},
        "student.merge into": {"student_id": mine.id, "into": student_id},
    }
    result = await apply_one(stores, command.split(maxsplit=1)[0], **given[command])
    assert (result.status, result.error_code, result.entity_ids) == (REJECTED, code, ())
    assert [one.topic for one in await stores.published()] == [topics.COMMAND_RESULTS]
    assert (await stores.rosters.get_class(OTHER, batch.room.id)).students == theirs
    assert await stores.classes.get_student(TEACHER, mine.id) == mine
    assert len(await stores.rosters.roster(own.id, TEACHER)) == 1
    for shown in (await stores.associations.get_batch(OTHER, batch.id)).associations:
        assert shown.association.pending


async def test_commands_close_and_withdraw_as_requests_do(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    gone = batch.room.students[0]
    await apply_one(stores, "student.update", student_id=gone, remove_class_ids=[batch.room.id])
    view = await stores.associations.get_batch(TEACHER, batch.id)
    shown = {a.association.essay_id: a.association.suggested_student_id for a in view.associations}
    assert [shown[essay] for essay in batch.essays] == [None, batch.room.students[1]]
    await apply_one(stores, "class.delete", class_id=batch.room.id)
    assert [one.rejected for one in await stores.open_batches.settle(10)] == [2]
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1


async def test_a_foreign_student_is_no_member_of_the_batchs_class(stores: Stores) -> None:
    foreign = (await everything_of_another(stores)).room.students[0]
    batch = await make_batch(stores, 0.9)
    decision = {"essay_id": batch.essays[0], "confirmed": True, "student_id": foreign}
    result = await apply_one(
        stores, "associations.confirm", batch_id=batch.id, associations=[decision]
    )
    assert (result.status, result.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert pointers(result) == ["/associations/0/student_id"]


# --- given ids ---------------------------------------------------------------------------------


async def test_a_given_id_makes_a_create_idempotent(stores: Stores) -> None:
    class_id, student_id = new_id(), new_id()
    create_class: dict[str, Any] = {"class_id": class_id, "name": "9A", "course_codes": ["SV1"]}
    create_student = student("a@b.example", student_id, class_ids=[class_id])
    for status in (APPLIED, DUPLICATE):
        result = await apply_one(stores, "class.create", **create_class)
        assert (result.status, result.entity_ids) == (status, (class_id,))
        result = await apply_one(stores, "student.create", **create_student)
        assert (result.status, result.entity_ids) == (status, (student_id,))
    assert len(events(await stores.published())) == 2


@pytest.mark.parametrize("owner", [TEACHER, OTHER])
async def test_a_taken_id_is_refused_alike_whoever_has_it(stores: Stores, owner: str) -> None:
    cls = await make_class(stores, caller(owner))
    theirs = await make_student(stores, caller(owner), new_student())
    await stores.published()
    one = await apply_one(
        stores, "class.create", class_id=cls.id, name="other", course_codes=["SV1"]
    )
    two = await apply_one(stores, "student.create", **student("x@y.example", theirs.id, "Eva"))
    for result in (one, two):
        assert (result.status, result.error_code) == (REJECTED, "IDEMPOTENCY_CONFLICT")
        assert result.detail == "The id is taken, and not by the same content: choose another one."
    assert events(await stores.published()) == []
    assert (await stores.rosters.get_class(owner, cls.id)).record == cls


@pytest.mark.parametrize("class_ids", [[], [new_id()]])
async def test_a_foreign_id_tells_no_more_than_an_own_one(
    stores: Stores, class_ids: list[UUID]
) -> None:
    """Whatever else is sent along: what the other has cannot be found out by trying.

    Only an own student that is in the way is named.
    """
    mine, theirs = caller(), caller(OTHER)
    email = "a@b.example"
    await make_student(stores, mine, new_student("Own", "Email", email))
    results = []
    for owner, content in ((mine, "Other"), (theirs, "Other"), (theirs, "Åsa")):
        kept = await make_student(stores, owner, new_student(content))
        room = await make_class(stores, owner, new_class(content))
        given = student(None, kept.id, class_ids=class_ids)
        results += [
            await apply_one(stores, "student.create", **given),
            await apply_one(stores, "student.create", **{**given, "email": email}),
            await apply_one(
                stores, "class.create", class_id=room.id, name="Åsa", course_codes=["SV1"]
            ),
        ]
    assert [result.student_id for result in results[3:]] == [None] * 6
    unnamed = [replace(result, student_id=None) for result in results]
    assert unnamed == unnamed[-1:] * len(results)
    assert unnamed[0].error_code == "IDEMPOTENCY_CONFLICT"


async def test_the_first_of_two_commands_gets_the_id_and_the_email(stores: Stores) -> None:
    taken, free = new_id(), new_id()
    results = await apply(
        stores,
        deliver("student.create", **student("a@b.example", taken)),
        deliver("student.create", **student("A@B.example", free, "second")),
        deliver("student.create", **student("c@b.example", free, "third")),
        deliver("student.create", **student("d@b.example", taken, "fourth")),
        deliver("student.create", OTHER, **student("a@b.example")),
    )
    assert [r.error_code for r in results] == [
        None,
        "STUDENT_EMAIL_CONFLICT",
        None,
        "IDEMPOTENCY_CONFLICT",
        None,
    ]
    assert (await stores.classes.get_student(TEACHER, free)).name.first_name == "third"


# --- refusals ----------------------------------------------------------------------------------


async def test_a_refusal_leaves_its_neighbours_alone(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    first, second = new_id(), new_id()
    results = await apply(
        stores,
        deliver("student.create", **student("a@b.example", first)),
        deliver("student.create", **student("b@b.example", second)),
        deliver("student.update", student_id=second, email="A@b.example", add_class_ids=[cls.id]),
        deliver("student.update", student_id=second, add_class_ids=[cls.id]),
        deliver("class.update", class_id=new_id(), name="9B"),
        deliver("class.update", class_id=cls.id, name="9B"),
        deliver("class.update", class_id=cls.id, name=""),
        deliver("class.update", class_id=cls.id, course_codes=["SV1", "SV2"]),
    )
    assert [r.error_code for r in results] == [
        None,
        None,
        "STUDENT_EMAIL_CONFLICT",
        None,
        "CLASS_NOT_FOUND",
        None,
        "VALIDATION_ERROR",
        "MULTIPLE_COURSE_ERROR",
    ]
    assert pointers(results[6]) == ["/name"]
    assert pointers(results[7]) == ["/course_codes"]
    changed = await stores.classes.get_student(TEACHER, second)
    assert (changed.email, changed.class_ids) == ("b@b.example", (cls.id,))
    told = await stores.published(topics.COMMAND_RESULTS)
    by_id = {one.data["command_id"]: one.data for one in told}
    assert len(by_id) == 8
    assert sum(one["status"] == "rejected" for one in by_id.values()) == 4


# --- repetitions -------------------------------------------------------------------------------


async def test_an_event_id_sent_again_is_a_duplicate_with_a_result_each_time(
    stores: Stores,
) -> None:
    delivery = deliver("class.create", name="9A", course_codes=["SV1"])
    again = anew(delivery)
    [first] = await apply(stores, delivery)
    [second] = await apply(stores, again)
    assert (first.status, second.status) == (APPLIED, DUPLICATE)
    [third, fourth] = await apply(stores, anew(delivery), anew(delivery))
    assert (third.status, fourth.status) == (DUPLICATE, DUPLICATE)
    published = await stores.published()
    assert len(events(published)) == 1
    told = [one for one in published if one.topic == topics.COMMAND_RESULTS]
    assert [one.data["status"] for one in told] == ["applied"] + ["duplicate"] * 3
    assert len({one.envelope["event_id"] for one in told}) == 4


async def test_a_record_delivered_again_says_nothing(stores: Stores) -> None:
    delivery = deliver("class.create", name="9A", course_codes=["SV1"])
    refused = deliver("class.delete", class_id=new_id())
    again = anew(delivery)
    await apply(stores, delivery, refused, again)
    assert len(await stores.published(topics.COMMAND_RESULTS)) == 3
    results = await apply(stores, delivery, refused, again, again)
    assert statuses(results) == [DUPLICATE] * 4
    assert await stores.published() == []


async def test_an_event_id_twice_in_a_list_takes_effect_once(stores: Stores) -> None:
    delivery = deliver("class.create", name="9A", course_codes=["SV1"])
    results = await apply(stores, delivery, anew(delivery), delivery)
    assert statuses(results) == [APPLIED, DUPLICATE, DUPLICATE]
    published = by_topic(await stores.published())
    assert len(published[topics.CLASS_CREATED]) == 1
    assert len(published[topics.COMMAND_RESULTS]) == 2


async def test_a_duplicate_names_the_ids_that_the_command_names(stores: Stores) -> None:
    class_id = new_id()
    create = deliver("class.create", class_id=class_id, name="9A", course_codes=["SV1"])
    change = deliver("class.update", class_id=class_id, name="9B")
    await apply(stores, create, change)
    results = await apply(stores, anew(change), anew(create))
    assert [r.entity_ids for r in results] == [(class_id,), (class_id,)]
    assert (await stores.rosters.get_class(TEACHER, class_id)).record.name == "9B"


@pytest.mark.parametrize("first", ["command", "suggestions"])
async def test_an_event_id_counts_in_its_own_topic(stores: Stores, first: str) -> None:
    room = await make_classroom(stores)
    suggested = suggestions(room.id, suggestion_result(suggest(room.students[0])))
    command = deliver(
        "class.create", event_id=suggested.message.event_id, name="9B", course_codes=["SV1"]
    )

    async def send_command() -> CommandStatus:
        [result] = await apply(stores, command)
        return result.status

    async def send_suggestions() -> Outcome:
        return await store_one(stores, suggested)

    turns: list[Callable[[], Awaitable[StrEnum]]] = [send_command, send_suggestions]
    for turn in turns if first == "command" else reversed(turns):
        assert await turn() in {APPLIED, Outcome.STORED}
    for _ in range(2):
        assert await send_command() is DUPLICATE
        assert await send_suggestions() is Outcome.DUPLICATE
        assert (await apply(stores, anew(command)))[0].status is DUPLICATE


async def test_a_dead_letter_makes_no_command_of_its_id_forgotten(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch = await make_batch(stores, 0.9, room=room)
    elsewhere = await make_class(stores, room.teacher)
    refused = suggestions(elsewhere.id, batch_id=batch.id)
    command = deliver(
        "class.create", event_id=refused.message.event_id, name="9B", course_codes=["SV1"]
    )
    assert statuses(await apply(stores, command)) == [APPLIED]
    assert await store_one(stores, refused) is Outcome.DEAD_LETTERED
    assert statuses(await apply(stores, anew(command))) == [DUPLICATE]
    replayed = replace(refused, record=replace(refused.record, offset=refused.record.offset + 9))
    assert await store_one(stores, replayed) is Outcome.DEAD_LETTERED


async def test_an_event_id_on_two_topics_at_once_takes_effect_on_both(stores: Stores) -> None:
    room = await make_classroom(stores)
    for _ in range(10):
        suggested = suggestions(room.id, suggestion_result())
        command = deliver(
            "class.create", event_id=suggested.message.event_id, name="9B", course_codes=["SV1"]
        )
        outcome, results = await asyncio.gather(
            store_one(stores, suggested), apply(stores, command)
        )
        assert (outcome, statuses(results)) == (Outcome.STORED, [APPLIED])


async def test_an_event_id_is_forgotten_with_the_inbox(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    delivery = deliver("class.update", class_id=cls.id, name="9B")
    await apply(stores, delivery)
    await stores.elapse(timedelta(days=15))
    assert await stores.maintenance.purge_inbox(14) == 1
    [result] = await apply(stores, delivery)
    assert result.status is APPLIED


async def test_a_buried_record_is_not_carried_out_when_it_comes_again(stores: Stores) -> None:
    delivery = deliver("class.create", name="9A", course_codes=["SV1"])
    letter = DeadLetter(delivery.record, Reason.PROCESSING_FAILED, "builtins.ValueError")
    assert await stores.inbox.dead_letter([letter]) == 1
    [result] = await apply(stores, delivery)
    assert result.status is DUPLICATE
    [dead] = await stores.published()
    assert dead.topic == topics.dead_letter_topic(topics.COMMANDS)
    [result] = await apply(stores, anew(delivery))
    assert result.status is APPLIED


async def test_progress_is_kept_with_what_it_counts(stores: Stores) -> None:
    reached = [Progress("group", topics.COMMANDS, 3, 17)]
    delivery = deliver("class.create", name="9A", course_codes=["SV1"])
    await stores.commands.apply_commands([delivery], reached)
    assert await stores.progress.stored("group", topics.COMMANDS) == {3: 17}


# --- rosters -----------------------------------------------------------------------------------


async def test_a_roster_is_registered_with_an_event_for_each(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    other = await make_class(stores, caller())
    await stores.published()
    given = new_id()
    rows = [
        student("a@b.example", given, "A"),
        student(None, None, "B", [other.id]),
        student(None, None, "C", [cls.id]),
    ]
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert result.status is APPLIED
    first, second, third = result.entity_ids
    assert first == given
    found = [await stores.classes.get_student(TEACHER, i) for i in (first, second, third)]
    assert [one.name.first_name for one in found] == ["A", "B", "C"]
    assert [set(one.class_ids) for one in found] == [{cls.id}, {cls.id, other.id}, {cls.id}]
    published = by_topic(await stores.published())
    assert Counter(one.key for one in published[topics.STUDENT_CREATED]) == Counter(
        str(i) for i in result.entity_ids
    )
    assert len(published[topics.NOTIFICATION_REQUESTED]) == 4
    assert len(published[topics.COMMAND_RESULTS]) == 1


async def test_a_thousand_students_are_registered_at_once(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    rows = [student(f"s{n}@b.example") for n in range(1000)]
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert (result.status, len(result.entity_ids)) == (APPLIED, 1000)
    assert len(await stores.rosters.roster(cls.id, TEACHER)) == 1000


async def test_a_roster_with_bad_rows_is_rejected_whole_with_an_entry_for_each(
    stores: Stores,
) -> None:
    cls = await make_class(stores, caller())
    there = await make_student(stores, caller(), new_student("There", email="there@b.example"))
    foreign = await make_class(stores, caller(OTHER))
    twice = new_id()
    await stores.published()
    rows = [
        student("good@b.example"),
        student("THERE@b.example"),
        {"person_name": {"legal_full_name": "no name"}, "more": 10**30},
        student("Good@b.example"),
        student("no address"),
        student("x@b.example", there.id),
        student("y@b.example", class_ids=[foreign.id]),
        student("z@b.example", twice),
        student("w@b.example", twice),
        {"person_name": name(), "email": 7, "class_ids": "all"},
        "nonsense",
    ]
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert (result.status, result.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert result.entity_ids == ()
    assert pointers(result) == [
        "/students/1/email",
        "/students/2/person_name",
        "/students/4/email",
        "/students/5/student_id",
        "/students/6/class_ids",
        "/students/8/student_id",
        "/students/9/email",
        "/students/9/class_ids",
        "/students/10",
    ]
    assert [one.topic for one in await stores.published()] == [topics.COMMAND_RESULTS]
    assert await stores.rosters.roster(cls.id, TEACHER) == []


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (student("there@b.example", first="Eva"), "STUDENT_EMAIL_CONFLICT"),
        (student("x@b.example", class_ids=[new_id()]), "CLASS_NOT_FOUND"),
    ],
)
async def test_a_roster_with_one_kind_of_fault_says_which(
    stores: Stores, row: dict[str, Any], code: str
) -> None:
    cls = await make_class(stores, caller())
    await make_student(stores, caller(), new_student(email="there@b.example"))
    rows = [student(), row]
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert (result.status, result.error_code, len(result.errors)) == (REJECTED, code, 1)
    assert await stores.rosters.roster(cls.id, TEACHER) == []


async def test_a_roster_registered_before_is_a_duplicate_and_may_grow(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    rows = [student(f"{n}@b.example", new_id()) for n in range(3)]
    for status, some in ((APPLIED, rows[:2]), (DUPLICATE, rows[:2]), (APPLIED, rows)):
        result = await apply_one(stores, "roster.register", class_id=cls.id, students=some)
        assert (result.status, len(result.entity_ids)) == (status, len(some))
    assert len(await stores.rosters.roster(cls.id, TEACHER)) == 3
    assert len(await stores.published(topics.STUDENT_CREATED)) == 3


async def test_a_roster_does_not_take_students_over_under_another_name(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    loose = await make_student(stores, caller(), new_student("Åsa", "Öberg"))
    rows = [student(None, loose.id, "Eva")]
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert (result.status, result.error_code) == (REJECTED, "IDEMPOTENCY_CONFLICT")
    assert pointers(result) == ["/students/0/student_id"]


async def test_a_refused_roster_leaves_those_beside_it_as_they_are(stores: Stores) -> None:
    classes = [await make_class(stores, caller(user)) for user in (TEACHER, OTHER, TEACHER)]
    foreign, (first, others, last) = new_id(), (cls.id for cls in classes)
    await make_student(stores, caller(OTHER), new_student("There", email="there@b.example"))
    await stores.published()
    good, ids = [student("a@b.example"), student("b@b.example")], [new_id() for _ in range(3)]
    results = await apply(
        stores,
        deliver("roster.register", class_id=first, students=good),
        deliver(
            "roster.register", OTHER, class_id=others, students=[*good, student("THERE@b.example")]
        ),
        deliver("roster.register", OTHER, class_id=foreign, students=good),
        deliver("roster.register", class_id=last, students=[student(None, i) for i in ids]),
        deliver("roster.register", class_id=last, students=[student(None, i) for i in ids[:2]]),
    )
    assert statuses(results) == [APPLIED, REJECTED, REJECTED, APPLIED, DUPLICATE]
    assert pointers(results[1]) == ["/students/2/email"]
    assert results[2].error_code == "CLASS_NOT_FOUND"
    assert [len(await stores.rosters.roster(i, TEACHER)) for i in (first, last)] == [2, 3]
    assert await stores.rosters.roster(others, OTHER) == []
    published = by_topic(await stores.published())
    created = {one.key for one in published[topics.STUDENT_CREATED]}
    assert created == {str(i) for place in (0, 3) for i in results[place].entity_ids}
    assert len(published[topics.STUDENT_CREATED]) == len(created)
    assert len(published[topics.COMMAND_RESULTS]) == 5


# --- students that are changed together ----------------------------------------------------------


async def test_students_change_in_the_order_of_their_commands(stores: Stores) -> None:
    ann, ben = [
        await make_student(stores, caller(), new_student(first, email=f"{first}@b.example"))
        for first in ("ann", "ben")
    ]
    await stores.published()
    results = await apply(
        stores,
        deliver("student.update", student_id=ann.id, email="new@b.example"),
        deliver("student.update", student_id=ben.id, email="ANN@b.example"),  # free by now
        deliver("student.update", student_id=ann.id, email="ben@b.example"),
        deliver("student.update", student_id=ben.id, person_name=name("Benedikt")),
        deliver("student.update", student_id=ann.id, external_id="7"),
        deliver("student.update", student_id=ben.id, external_id="7", email="never@b.example"),
        deliver("student.update", student_id=ann.id, email="ANN@b.example"),
        deliver("student.update", student_id=ann.id, email="ben@b.example"),  # as it is
    )
    assert statuses(results) == [APPLIED] * 5 + [REJECTED] * 2 + [APPLIED]
    assert [results[at].error_code for at in (5, 6)] == [
        "EXTERNAL_ID_CONFLICT",
        "STUDENT_EMAIL_CONFLICT",
    ]
    assert [results[at].student_id for at in (5, 6)] == [ann.id, ben.id]
    ann, ben = [await stores.classes.get_student(TEACHER, one.id) for one in (ann, ben)]
    assert (ann.email, ann.external_id, ann.version) == ("ben@b.example", "7", 4)
    assert (ben.email, ben.external_id, ben.version) == ("ANN@b.example", None, 3)
    assert ben.name.first_name == "Benedikt"
    updated = by_topic(await stores.published())[topics.STUDENT_UPDATED]
    assert Counter(one.key for one in updated) == {str(ann.id): 3, str(ben.id): 2}


async def test_students_of_others_are_not_changed_with_ones_own(stores: Stores) -> None:
    own = await make_student(stores, caller(), new_student())
    others = await make_student(stores, caller(OTHER), new_student())
    new = name("Changed")
    results = await apply(
        stores,
        deliver("student.update", student_id=others.id, person_name=new),
        deliver("student.update", student_id=own.id, person_name=new),
        deliver("student.update", student_id=new_id(), person_name=new),
        deliver("student.update", OTHER, student_id=own.id, person_name=new),
    )
    assert statuses(results) == [REJECTED, APPLIED, REJECTED, REJECTED]
    assert {results[at].error_code for at in (0, 2, 3)} == {"STUDENT_NOT_FOUND"}
    assert await stores.classes.get_student(OTHER, others.id) == others
    assert (await stores.classes.get_student(TEACHER, own.id)).version == 2


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_roster_of_another_size_is_refused(stores: Stores, size: int) -> None:
    cls = await make_class(stores, caller())
    rows = [student()] * size
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert (result.status, result.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert pointers(result) == ["/students"]


# --- nothing half done -------------------------------------------------------------------------


async def test_what_the_database_refuses_undoes_everything(stores: Stores) -> None:
    """A text that no reader lets through stands for whatever PostgreSQL will not store."""
    cls = await make_class(stores, caller())
    await stores.published()
    good = deliver("class.update", class_id=cls.id, name="9B")
    bad = deliver("class.create", name="9C", course_codes=["SV1"])
    broken = ClassCreate(NewClass(new_id(), "nul\0", "SV1"))
    culprit = replace(bad, command=replace(bad.command, order=broken))
    reached = [Progress("group", topics.COMMANDS, 0, 5)]
    try:
        await stores.commands.apply_commands([good, culprit], reached)
    except DataRefusedError:
        assert await stores.published() == []
        assert (await stores.rosters.get_class(TEACHER, cls.id)).record == cls
        assert await stores.progress.stored("group", topics.COMMANDS) == {}
        [result] = await apply(stores, good)
        assert result.status is APPLIED
    else:
        # Memory refuses nothing.
        assert (await stores.rosters.get_class(TEACHER, cls.id)).record.name == "9B"
