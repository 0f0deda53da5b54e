"""The same pupils again: who is there already joins, and is made no second time."""

import asyncio
from typing import Any

import pytest

from rules import topics
from rules.changes import Created, NewStudentRequest
from rules.commands.results import CommandResult, CommandStatus
from rules.errors import EmailConflictError, StudentNotFoundError
from rules.ids import new_id
from rules.joining import Joined
from rules.models import EmailChange, StudentChange, StudentRecord
from tests.integration.store.builders import (
    Stores,
    by_topic,
    caller,
    make_class,
    make_student,
    new_student,
)
from tests.support.commands import TEACHER, deliver, student

APPLIED, DUPLICATE, REJECTED = CommandStatus
OTHER = "teacher-2"


async def apply_one(stores: Stores, command: str, user_id: str = TEACHER, **given: Any) -> Any:  # noqa: ANN401
    [result] = await stores.commands.apply_commands([deliver(command, user_id, **given)])
    return result


def refusal(result: CommandResult) -> tuple[CommandStatus, str | None, object]:
    return result.status, result.error_code, result.student_id


async def make_pupil(stores: Stores, **given: Any) -> StudentRecord:  # noqa: ANN401
    """Make a student of a class, with an address."""
    cls = await make_class(stores, caller())
    made = await make_student(
        stores, caller(), new_student(email="asa@b.example", class_ids=[cls.id], **given)
    )
    await stores.published()
    return made


@pytest.mark.parametrize("by", ["id", "email", "both", "new id and email"])
async def test_the_same_pupil_joins_the_classes_that_are_named(stores: Stores, by: str) -> None:
    pupil = await make_pupil(stores)
    [first] = pupil.class_ids
    other = await make_class(stores, caller())
    await stores.published()
    student_id = {"email": None, "new id and email": new_id()}.get(by, pupil.id)
    email = None if by == "id" else "ASA@b.example"
    given = student(email, student_id, class_ids=[first, other.id])
    delivery = deliver("student.create", **given)
    [result] = await stores.commands.apply_commands([delivery])
    assert (result.status, result.entity_ids, result.error_code) == (APPLIED, (pupil.id,), None)
    found = await stores.classes.get_student(TEACHER, pupil.id)
    assert found.class_ids == tuple(sorted([first, other.id]))
    assert (found.name, found.email, found.version) == (pupil.name, pupil.email, 2)
    published = by_topic(await stores.published())
    assert published.keys() == {
        topics.STUDENT_UPDATED,
        topics.NOTIFICATION_REQUESTED,
        topics.COMMAND_RESULTS,
    }
    [updated] = published[topics.STUDENT_UPDATED]
    assert updated.key == updated.data["student_id"] == str(pupil.id)
    assert updated.data["add_class_ids"] == [str(other.id)]
    assert updated.data["remove_class_ids"] == []
    assert updated.data["student_email"] == pupil.email
    correlation_id = str(delivery.command.caller.trace.correlation_id)
    assert updated.envelope["correlation_id"] == correlation_id
    [notified] = published[topics.NOTIFICATION_REQUESTED]
    assert notified.data["notification_type"] == "student_added_to_class"
    assert notified.data["class_id"] == str(other.id)


async def test_who_left_every_class_comes_back(stores: Stores) -> None:
    pupil = await make_pupil(stores)
    gone = StudentChange(remove_class_ids=pupil.class_ids)
    await stores.classes.update_student(caller(), pupil.id, gone)
    rows = [student("asa@b.example")]
    result = await apply_one(stores, "roster.register", class_id=pupil.class_ids[0], students=rows)
    assert (result.status, result.entity_ids) == (APPLIED, (pupil.id,))
    assert (await stores.classes.get_student(TEACHER, pupil.id)).class_ids == pupil.class_ids


@pytest.mark.parametrize("classes", ["its own", "none"])
async def test_who_is_in_its_classes_already_is_found_without_an_event(
    stores: Stores, classes: str
) -> None:
    pupil = await make_pupil(stores)
    given = student("asa@b.example", class_ids=() if classes == "none" else pupil.class_ids)
    result = await apply_one(stores, "student.create", **given)
    assert (result.status, result.entity_ids) == (APPLIED, (pupil.id,))
    assert [one.topic for one in await stores.published()] == [topics.COMMAND_RESULTS]
    assert await stores.classes.get_student(TEACHER, pupil.id) == pupil


@pytest.mark.parametrize("email", [None, "new@b.example", "taken@b.example"])
async def test_an_own_id_with_the_same_name_joins_and_keeps_its_address(
    stores: Stores, email: str | None
) -> None:
    """The id decides: an address that comes along is neither taken over nor looked for."""
    pupil = await make_pupil(stores)
    await make_student(stores, caller(), new_student(email="taken@b.example"))
    other = await make_class(stores, caller())
    given = student(email, pupil.id, class_ids=[other.id])
    result = await apply_one(stores, "student.create", **given)
    assert (result.status, result.entity_ids) == (APPLIED, (pupil.id,))
    found = await stores.classes.get_student(TEACHER, pupil.id)
    assert (found.email, other.id in found.class_ids) == (pupil.email, True)


async def test_another_name_is_a_conflict_that_names_the_own_student(stores: Stores) -> None:
    pupil = await make_pupil(stores)
    other = await make_class(stores, caller())
    await stores.published()
    by_email = student("ASA@b.example", first="Eva", class_ids=[other.id])
    by_id = student("new@b.example", pupil.id, "Eva", class_ids=[other.id])
    result = await apply_one(stores, "student.create", **by_email)
    assert refusal(result) == (REJECTED, "STUDENT_EMAIL_CONFLICT", pupil.id)
    result = await apply_one(stores, "student.create", **by_id)
    assert refusal(result) == (REJECTED, "IDEMPOTENCY_CONFLICT", pupil.id)
    told = await stores.published()
    assert [one.topic for one in told] == [topics.COMMAND_RESULTS] * 2
    assert [one.data["student_id"] for one in told] == [str(pupil.id)] * 2
    assert await stores.classes.get_student(TEACHER, pupil.id) == pupil


async def test_a_name_that_was_stored_in_another_form_is_the_same(stores: Stores) -> None:
    decomposed = new_student("A\u030asa", "O\u0308berg", "asa@b.example")
    pupil = await make_student(stores, caller(), decomposed)
    result = await apply_one(stores, "student.create", **student("asa@b.example"))
    assert (result.status, result.entity_ids) == (APPLIED, (pupil.id,))
    assert await stores.classes.get_student(TEACHER, pupil.id) == pupil


async def test_of_another_owners_student_nothing_is_said(stores: Stores) -> None:
    theirs = await make_student(stores, caller(OTHER), new_student(email="asa@b.example"))
    mine = await make_class(stores, caller())
    given = student(None, theirs.id, class_ids=[mine.id])
    result = await apply_one(stores, "student.create", **given)
    assert refusal(result) == (REJECTED, "IDEMPOTENCY_CONFLICT", None)
    given = student("asa@b.example", class_ids=[mine.id])
    result = await apply_one(stores, "student.create", **given)
    assert (result.status, theirs.id in result.entity_ids) == (APPLIED, False)
    assert await stores.classes.get_student(OTHER, theirs.id) == theirs


@pytest.mark.parametrize("whose", ["nobody", "other"])
async def test_a_class_that_is_not_mine_is_not_joined(stores: Stores, whose: str) -> None:
    pupil = await make_pupil(stores)
    theirs = (await make_class(stores, caller(OTHER))).id if whose == "other" else new_id()
    mine = await make_class(stores, caller())
    await stores.published()
    for given in (student(None, pupil.id), student("asa@b.example")):
        given["class_ids"] = [mine.id, theirs]
        result = await apply_one(stores, "student.create", **given)
        assert refusal(result) == (REJECTED, "CLASS_NOT_FOUND", None)
    assert {one.topic for one in await stores.published()} == {topics.COMMAND_RESULTS}
    assert await stores.classes.get_student(TEACHER, pupil.id) == pupil


async def test_what_is_made_and_what_joins_go_by_turns(stores: Stores) -> None:
    """Commands that are carried out together see what those before them did."""
    classes = [await make_class(stores, caller()) for _ in range(3)]
    a, b, c = (cls.id for cls in classes)
    given = new_id()
    results = await stores.commands.apply_commands(
        [
            deliver("student.create", **student("asa@b.example", given, class_ids=[a])),
            deliver("student.create", **student("asa@b.example", class_ids=[b])),
            deliver("student.create", **student("eva@b.example", None, "Eva", class_ids=[a])),
            deliver("student.create", **student("asa@b.example", None, "Eva", class_ids=[b])),
            deliver("student.create", **student("ASA@B.example", given, class_ids=[c])),
            deliver("class.delete", class_id=a),
            deliver("student.create", **student("eva@b.example", None, "Eva", class_ids=[a])),
            deliver("student.create", OTHER, **student("asa@b.example")),
        ]
    )
    assert [r.error_code for r in results] == [
        None,
        None,
        None,
        "STUDENT_EMAIL_CONFLICT",
        None,
        None,
        "CLASS_NOT_FOUND",
        None,
    ]
    assert [r.entity_ids for r in (results[0], results[1], results[4])] == [(given,)] * 3
    assert results[3].student_id == given
    found = await stores.classes.get_student(TEACHER, given)
    assert (found.class_ids, found.version) == (tuple(sorted([b, c])), 3)
    published = by_topic(await stores.published())
    assert len(published[topics.STUDENT_CREATED]) == 3
    joined = [one.data["add_class_ids"] for one in published[topics.STUDENT_UPDATED]]
    assert joined == [[str(b)], [str(c)]]


# --- rosters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", ["given", "none"])
async def test_a_roster_is_registered_in_a_second_class(stores: Stores, ids: str) -> None:
    first, second = [await make_class(stores, caller()) for _ in range(2)]
    rows = [
        student(f"s{n}@b.example", new_id() if ids == "given" else None, f"N{n}") for n in range(30)
    ]
    one = await apply_one(stores, "roster.register", class_id=first.id, students=rows)
    await stores.published()
    rows.append(student("late@b.example", first="Late"))
    two = await apply_one(stores, "roster.register", class_id=second.id, students=rows)
    assert two.status is APPLIED
    assert two.entity_ids[:30] == one.entity_ids
    assert len(await stores.rosters.roster(first.id, TEACHER)) == 30
    assert len(await stores.rosters.roster(second.id, TEACHER)) == 31
    published = by_topic(await stores.published())
    assert len(published[topics.STUDENT_UPDATED]) == 30
    assert len(published[topics.STUDENT_CREATED]) == 1
    assert len(published[topics.NOTIFICATION_REQUESTED]) == 31


async def test_a_pupil_twice_in_a_roster_is_made_once(stores: Stores) -> None:
    cls, other = [await make_class(stores, caller()) for _ in range(2)]
    await stores.published()
    rows = [
        student("asa@b.example"),
        student("ASA@b.example"),
        student("asa@B.example", class_ids=[other.id]),
    ]
    result = await apply_one(stores, "roster.register", class_id=cls.id, students=rows)
    assert result.status is APPLIED
    [student_id] = set(result.entity_ids)
    assert len(result.entity_ids) == 3  # one for each row
    found = await stores.classes.get_student(TEACHER, student_id)
    assert found.class_ids == tuple(sorted([cls.id, other.id]))
    published = by_topic(await stores.published())
    assert len(published[topics.STUDENT_CREATED]) == 1
    assert len(published[topics.STUDENT_UPDATED]) == 1


async def test_a_roster_with_other_names_names_the_own_students(stores: Stores) -> None:
    pupil = await make_pupil(stores)
    second = await make_student(stores, caller(), new_student(email="bo@b.example"))
    other = await make_class(stores, caller())
    await stores.published()
    rows = [
        student("asa@b.example", None, "Eva"),
        student("asa@b.example"),
        student("new@b.example"),
        student("new@b.example", None, "Bo"),
        student("bo@b.example", None, "Bo"),
    ]
    result = await apply_one(stores, "roster.register", class_id=other.id, students=rows)
    assert refusal(result) == (REJECTED, "STUDENT_EMAIL_CONFLICT", None)
    # Of the fourth nobody: the third is not made either.
    assert [(fault.pointer, fault.student_id) for fault in result.errors] == [
        ("/students/0/email", pupil.id),
        ("/students/3/email", None),
        ("/students/4/email", second.id),
    ]
    [told] = await stores.published()
    assert [fault["student_id"] for fault in told.data["errors"]] == [
        str(pupil.id),
        None,
        str(second.id),
    ]
    assert await stores.rosters.roster(other.id, TEACHER) == []
    assert await stores.classes.get_student(TEACHER, pupil.id) == pupil


# --- requests, and at the same moment ----------------------------------------------------------


async def test_a_taken_address_names_who_has_it(stores: Stores) -> None:
    pupil = await make_pupil(stores)
    [refused] = await stores.classes.create_students(
        [NewStudentRequest(caller(), new_student(email="Asa@b.example"))]
    )
    assert isinstance(refused, EmailConflictError)
    assert refused.student_id == pupil.id
    second = await make_student(stores, caller(), new_student(email="bo@b.example"))
    change = StudentChange(email=EmailChange("ASA@b.example"))
    with pytest.raises(EmailConflictError) as conflict:
        await stores.classes.update_student(caller(), second.id, change)
    assert conflict.value.student_id == pupil.id


async def test_two_rosters_with_the_same_pupils_at_the_same_moment(stores: Stores) -> None:
    rooms = [await make_class(stores, caller()) for _ in range(4)]
    await stores.published()
    rows = [student(f"s{n}@b.example") for n in range(20)]
    results = await asyncio.gather(
        *(
            apply_one(stores, "roster.register", class_id=room.id, students=some)
            for room, some in zip(rooms, [rows, rows[::-1], rows, rows[::-1]], strict=True)
        )
    )
    assert [result.status for result in results] == [APPLIED] * 4
    assert len({one for result in results for one in result.entity_ids}) == 20
    for room in rooms:
        assert len(await stores.rosters.roster(room.id, TEACHER)) == 20
    published = by_topic(await stores.published())
    assert len(published[topics.STUDENT_CREATED]) == 20
    assert len(published[topics.STUDENT_UPDATED]) == 60


async def test_a_student_is_deleted_while_it_joins(stores: Stores) -> None:
    """It has joined or is made anew: never a refusal, never two."""
    for n in range(10):
        room = await make_class(stores, caller())
        email = f"s{n}@b.example"
        pupil = await make_student(stores, caller(), new_student(email=email))
        result, *_ = await asyncio.gather(
            apply_one(stores, "student.create", **student(email, class_ids=[room.id])),
            stores.classes.delete_student(caller(), pupil.id),
        )
        assert result.status is APPLIED
        listed = [one.id for one in await stores.rosters.roster(room.id, TEACHER)]
        assert listed == ([] if result.entity_ids == (pupil.id,) else list(result.entity_ids))


async def test_a_class_is_deleted_while_pupils_join_it(stores: Stores) -> None:
    pupil = await make_pupil(stores)
    for _ in range(10):
        room = await make_class(stores, caller())
        result, *_ = await asyncio.gather(
            apply_one(stores, "student.create", **student("asa@b.example", class_ids=[room.id])),
            stores.classes.delete_class(caller(), room.id),
        )
        assert result.error_code in (None, "CLASS_NOT_FOUND")
    assert (await stores.classes.get_student(TEACHER, pupil.id)).class_ids == pupil.class_ids


async def test_a_list_makes_who_is_new_and_lets_join_who_is_there(stores: Stores) -> None:
    pupil = await make_pupil(stores)
    other = await make_class(stores, caller())
    await stores.published()
    wanted = [
        NewStudentRequest(caller(), new_student(email="ASA@b.example", class_ids=[other.id])),
        NewStudentRequest(caller(), new_student("Bo", "Ek", class_ids=[other.id])),
        NewStudentRequest(
            caller(), new_student("Bo", "Ek", email="asa@b.example", class_ids=[other.id])
        ),
    ]
    joined, made, refused = await stores.classes.register_students(wanted)
    assert isinstance(joined, Joined)
    assert joined.record.class_ids == tuple(sorted([*pupil.class_ids, other.id]))
    assert isinstance(made, Created)
    assert made.is_new
    assert isinstance(refused, EmailConflictError)
    assert refused.student_id == pupil.id
    events = by_topic(await stores.published())
    assert [len(events[t]) for t in (topics.STUDENT_CREATED, topics.STUDENT_UPDATED)] == [1, 1]


async def test_a_list_that_is_only_tried_makes_nobody(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    await stores.published()
    wanted = [NewStudentRequest(caller(), new_student(class_ids=[cls.id]))]
    [made] = await stores.idempotency.dry(lambda: stores.classes.register_students(wanted))
    assert isinstance(made, Created)
    with pytest.raises(StudentNotFoundError):
        await stores.classes.get_student(TEACHER, made.record.id)
    assert await stores.published() == []
