"""The UNKNOWN student belongs to the service: nobody changes, counts or suggests it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from rules import topics
from rules.changes import NewStudentRequest
from rules.commands.results import CommandStatus
from rules.documents import class_detail_json, roster_json
from rules.errors import IdempotencyConflictError, PlaceholderError, StudentNotFoundError
from rules.events.envelopes import to_json
from rules.history import ChangeKind, Entity
from rules.models import (
    SYSTEM_AUTO,
    Association,
    ClassChange,
    EmailChange,
    HumanDecision,
    Method,
    Policy,
    Status,
    StudentChange,
    StudentRecord,
)
from rules.placeholders import Settled
from rules.suggestions import Outcome
from rules.timeouts import UNKNOWN_NAME, unknown_student_email
from tests.integration.store.builders import (
    A_DAY,
    Classroom,
    MakeStores,
    StoredBatch,
    Stores,
    by_topic,
    caller,
    classes_of,
    deliver,
    make_batch,
    make_class,
    make_classroom,
    make_student,
    new_class,
    new_student,
    person,
    result,
    store_one,
    suggest,
)
from tests.support import commands
from tests.support.commands import name
from tests.unit.rules import members


async def due(stores: Stores, batch: StoredBatch) -> None:
    """Have the clock decide a batch."""
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])


async def associations_of(stores: Stores, batch: StoredBatch) -> list[Association]:
    """Return a batch's associations in the order of its essays."""
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    found = {a.association.essay_id: a.association for a in view.associations}
    return [found[essay_id] for essay_id in batch.essays]


async def guest(stores: Stores, room: Classroom) -> UUID:
    """Have the clock give an essay to the UNKNOWN student of a class; return that student."""
    batch = await make_batch(stores, None, room=room)
    await due(stores, batch)
    [association] = await associations_of(stores, batch)
    assert association.student_id is not None
    return association.student_id


async def classroom_with_unknown(stores: Stores) -> tuple[Classroom, UUID]:
    """Make a class of three that has its UNKNOWN student; what that published is taken."""
    room = await make_classroom(stores)
    unknown = await guest(stores, room)
    await stores.published()
    return room, unknown


async def student(stores: Stores, room: Classroom, student_id: UUID) -> StudentRecord:
    return await stores.classes.get_student(room.teacher.user_id, student_id)


async def made_by_older(stores: Stores, room: Classroom, first: str = "UNKNOWN") -> UUID:
    """Return the UNKNOWN student of a class as an older version makes it, by default unrenamed."""
    email = unknown_student_email(room.id)
    made = await make_student(
        stores, room.teacher, new_student(first, "STUDENT", email, class_ids=[room.id])
    )
    assert not made.is_placeholder
    await stores.published()
    return made.id


# --- what it is ----------------------------------------------------------------------------------


async def test_unknown_student_is_a_placeholder(stores: Stores) -> None:
    room, unknown = await classroom_with_unknown(stores)
    made = await student(stores, room, unknown)
    assert made.is_placeholder
    assert (made.name, made.email) == (UNKNOWN_NAME, unknown_student_email(room.id))
    assert made.class_ids == (room.id,)
    assert not (await student(stores, room, room.students[0])).is_placeholder


async def test_it_is_shown_with_its_class_and_neither_counted_nor_in_the_roster(
    stores: Stores,
) -> None:
    room, unknown = await classroom_with_unknown(stores)
    owner = room.teacher.user_id
    [listed] = await classes_of(stores, owner)
    assert listed.student_count == 3
    detail = await stores.rosters.get_class(owner, room.id)
    assert detail.record == listed
    assert [s.id for s in detail.students if s.is_placeholder] == [unknown]
    document = await stores.classes.class_document(owner, room.id)
    assert document == to_json(class_detail_json(detail))
    pupils = [s for s in detail.students if s.id != unknown]
    for who in (owner, None):
        assert await stores.classes.roster_document(room.id, who) == to_json(roster_json(pupils))
        assert str(unknown).encode() not in await stores.classes.roster_document(room.id, who)
    change = ClassChange(name="9B")
    changed = (await stores.classes.update_class(room.teacher, room.id, change)).record
    assert changed.student_count == 3


async def test_roster_and_count_of_a_class_with_nobody_else(stores: Stores) -> None:
    room = await make_classroom(stores, 0)
    await guest(stores, room)
    owner = room.teacher.user_id
    [listed] = await classes_of(stores, owner)
    assert listed.student_count == 0
    assert await stores.classes.roster_document(room.id, owner) == b'{"students":[]}'


async def test_after_its_class_is_deleted_its_essays_go_on_answering_it(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch = await make_batch(stores, None, room=room)
    await due(stores, batch)
    await stores.classes.delete_class(room.teacher, room.id)
    [decided] = await stores.queries.student_names(batch.id)
    assert decided.name == UNKNOWN_NAME
    assert await stores.queries.essay_student(batch.essays[0]) == decided
    kept = await student(stores, room, decided.student_id)
    assert (kept.is_placeholder, kept.class_ids) == (True, ())
    with pytest.raises(PlaceholderError):
        await stores.classes.delete_student(room.teacher, decided.student_id)


async def test_class_that_is_made_again_with_its_id_gets_its_placeholder_back(
    stores: Stores,
) -> None:
    room, unknown = await classroom_with_unknown(stores)
    await stores.classes.delete_class(room.teacher, room.id)
    await make_class(stores, room.teacher, new_class(class_id=room.id))
    again = Classroom(room.teacher, room.record, [])
    batch = await make_batch(stores, None, room=again)
    await due(stores, batch)
    [association] = await associations_of(stores, batch)
    assert association.student_id == unknown
    assert (await student(stores, room, unknown)).class_ids == (room.id,)
    [joined] = await stores.published(topics.STUDENT_UPDATED)
    assert joined.data["add_class_ids"] == [str(room.id)]


async def test_two_workers_at_once_make_one(stores: Stores) -> None:
    room = await make_classroom(stores)
    batches = [await make_batch(stores, None, room=room) for _ in range(6)]
    await stores.elapse(A_DAY)
    await asyncio.gather(*(stores.timers.decide_due([batch.id]) for batch in batches))
    given = {(await associations_of(stores, batch))[0].student_id for batch in batches}
    assert len(given) == 1
    assert len(await stores.published(topics.STUDENT_CREATED)) == 1


# --- nobody changes it ---------------------------------------------------------------------------

Attempt = Callable[[Stores, Classroom, UUID], Awaitable[object]]


def change(**members: object) -> Attempt:
    async def attempt(stores: Stores, room: Classroom, student_id: UUID) -> object:
        changed = StudentChange(**members)  # type: ignore[arg-type]  # what the tests below give
        return await stores.classes.update_student(room.teacher, student_id, changed)

    return attempt


async def leave(stores: Stores, room: Classroom, student_id: UUID) -> object:
    return await change(remove_class_ids=(room.id,))(stores, room, student_id)


async def join_another(stores: Stores, room: Classroom, student_id: UUID) -> object:
    other = await make_class(stores, room.teacher, new_class("9B"))
    await stores.published()
    return await change(add_class_ids=(other.id,))(stores, room, student_id)


async def delete(stores: Stores, room: Classroom, student_id: UUID) -> object:
    await stores.classes.delete_student(room.teacher, student_id)
    return None


ATTEMPTS: dict[str, Attempt] = {
    "rename": change(name=person("Gäst", "Gäst")),
    "another address": change(email=EmailChange("gast@skola.example")),
    "no address": change(email=EmailChange(None)),
    "nothing": change(),
    "leave": leave,
    "join another": join_another,
    "delete": delete,
}


@pytest.mark.parametrize("what", ATTEMPTS)
async def test_nobody_changes_it(stores: Stores, what: str) -> None:
    room, unknown = await classroom_with_unknown(stores)
    before = await student(stores, room, unknown)
    with pytest.raises(PlaceholderError):
        await ATTEMPTS[what](stores, room, unknown)
    assert await student(stores, room, unknown) == before
    assert await stores.published() == []


async def test_to_another_teacher_it_does_not_exist(stores: Stores) -> None:
    _, unknown = await classroom_with_unknown(stores)
    other = caller("teacher-2")
    with pytest.raises(StudentNotFoundError):
        await stores.classes.delete_student(other, unknown)
    with pytest.raises(StudentNotFoundError):
        await stores.classes.update_student(other, unknown, StudentChange())
    for taken in (person("Åsa", "Öberg"), UNKNOWN_NAME):
        new = new_student(taken.first_name, taken.last_name, student_id=unknown)
        [made] = await stores.classes.create_students([NewStudentRequest(other, new)])
        assert isinstance(made, IdempotencyConflictError)


async def test_student_with_its_id_is_refused(stores: Stores) -> None:
    room, unknown = await classroom_with_unknown(stores)
    email = unknown_student_email(room.id)
    new = new_student("UNKNOWN", "STUDENT", email, [room.id], student_id=unknown)
    [made] = await stores.classes.create_students([NewStudentRequest(room.teacher, new)])
    assert isinstance(made, PlaceholderError)
    assert await stores.published() == []


# --- it is never a suggestion --------------------------------------------------------------------


async def test_suggestion_of_it_is_unusable_and_nothing_waits_for_it(stores: Stores) -> None:
    room, unknown = await classroom_with_unknown(stores)
    second = room.students[1]
    delivery = deliver(
        room.id,
        result(suggest(unknown, 0.99)),
        result(suggest(unknown, 0.99), suggest(second, 0.8)),
    )
    assert await store_one(stores, delivery) is Outcome.STORED
    alone, other = await associations_of(stores, StoredBatch(room, delivery))
    assert (alone.suggested_student_id, alone.confidence) == (None, 0.0)
    assert (other.suggested_student_id, other.confidence) == (second, 0.8)


async def test_essay_headed_unknown_student_is_not_confirmed_automatically(
    make_stores: MakeStores,
) -> None:
    stores = await make_stores(Policy(auto_confirm=0.9))
    room, unknown = await classroom_with_unknown(stores)
    delivery = deliver(room.id, result(suggest(unknown, 1.0)))
    assert await store_one(stores, delivery) is Outcome.STORED
    [association] = await associations_of(stores, StoredBatch(room, delivery))
    assert (association.status, association.student_id) == (Status.PENDING, None)


async def test_unknown_student_of_an_older_version_is_no_suggestion_either(stores: Stores) -> None:
    room = await make_classroom(stores)
    unknown = await made_by_older(stores, room)
    delivery = deliver(room.id, result(suggest(unknown, 0.99)))
    assert await store_one(stores, delivery) is Outcome.STORED
    [association] = await associations_of(stores, StoredBatch(room, delivery))
    assert association.suggested_student_id is None


async def test_teacher_may_confirm_it_by_hand(stores: Stores) -> None:
    room, unknown = await classroom_with_unknown(stores)
    batch = await make_batch(stores, 0.9, room=room)
    decision = HumanDecision(batch.essays[0], confirmed=True, student_id=unknown)
    await stores.associations.confirm(room.teacher, batch.id, [decision])
    [association] = await associations_of(stores, batch)
    assert (association.student_id, association.method) == (unknown, Method.HUMAN)


# --- what older versions left --------------------------------------------------------------------


async def settle(stores: Stores) -> Settled:
    """Settle everything in pages of two."""
    pages = [await stores.placeholders.settle(None, 2)]
    while pages[-1].last is not None:
        pages.append(await stores.placeholders.settle(pages[-1].last, 2))
    return Settled(
        tuple(i for page in pages for i in page.placeholders),
        tuple(i for page in pages for i in page.freed),
    )


async def with_address(stores: Stores, room: Classroom, email: str) -> UUID:
    """Return a pupil of a class who has an address of the service."""
    made = await make_student(stores, room.teacher, new_student("Åsa", "Öberg", email, [room.id]))
    await stores.published()
    return made.id


async def test_unknown_student_of_an_older_version_becomes_a_placeholder(stores: Stores) -> None:
    room = await make_classroom(stores)
    unknown = await made_by_older(stores, room)
    before = await student(stores, room, unknown)
    assert await settle(stores) == Settled((unknown,))
    after = await student(stores, room, unknown)
    assert after.is_placeholder
    assert (after.name, after.email, after.class_ids) == (UNKNOWN_NAME, before.email, (room.id,))
    assert after.version == before.version + 1
    # What others know of it is what it was.
    assert await stores.published() == []
    assert await settle(stores) == Settled()
    assert await guest(stores, room) == unknown


async def test_unknown_student_of_an_older_version_whose_class_is_gone(stores: Stores) -> None:
    room = await make_classroom(stores)
    unknown = await made_by_older(stores, room)
    await stores.classes.delete_class(room.teacher, room.id)
    assert await settle(stores) == Settled((unknown,))
    assert (await student(stores, room, unknown)).is_placeholder


async def test_renamed_one_becomes_an_ordinary_student(stores: Stores) -> None:
    room = await make_classroom(stores)
    renamed = await made_by_older(stores, room, "Okänd")
    before = await student(stores, room, renamed)
    assert await settle(stores) == Settled((), (renamed,))
    after = await student(stores, room, renamed)
    assert (after.is_placeholder, after.email) == (False, None)
    assert (after.name, after.class_ids) == (before.name, (room.id,))
    assert after.version == before.version + 1
    [updated] = await stores.published()
    assert (updated.topic, updated.key) == (topics.STUDENT_UPDATED, str(renamed))
    assert set(updated.data) == members.STUDENT_UPDATED
    assert (updated.data["first_name"], updated.data["student_email"]) == ("Okänd", None)
    assert updated.data["updated_by_user_id"] == room.teacher.user_id
    assert await settle(stores) == Settled()
    # It can be changed, and the next unknown essay gets another.
    await stores.classes.delete_student(room.teacher, renamed)


async def test_moved_one_becomes_an_ordinary_student(stores: Stores) -> None:
    room = await make_classroom(stores)
    moved = await made_by_older(stores, room)
    other = await make_class(stores, room.teacher)
    change = StudentChange(add_class_ids=(other.id,))
    await stores.classes.update_student(room.teacher, moved, change)
    assert await settle(stores) == Settled((), (moved,))


@pytest.mark.parametrize(
    "address",
    [
        "unknown.{}@huleedu.system",
        "Unknown.{}@HuleEdu.System",
        "asa@huleedu.system",
        "asa@Skola.HULEEDU.SYSTEM",
        "åsa@huleedu.system",
        "asa@\uff28uleEdu\u3002system",
        "asa@huleedu.sy\ufb06em",
    ],
)
async def test_pupil_loses_an_address_of_the_service(stores: Stores, address: str) -> None:
    room = await make_classroom(stores)
    pupil = await with_address(stores, room, address.format(room.id))
    assert await settle(stores) == Settled((), (pupil,))
    assert (await student(stores, room, pupil)).email is None
    [updated] = await stores.published()
    assert (updated.topic, updated.data["student_email"]) == (topics.STUDENT_UPDATED, None)


@pytest.mark.parametrize(
    "address", ["asa@nothuleedu.system", "asa@huleedu.system.example", "asa@éhuleedu.system"]
)
async def test_other_addresses_stay(stores: Stores, address: str) -> None:
    room = await make_classroom(stores)
    pupil = await with_address(stores, room, address)
    assert await settle(stores) == Settled()
    assert (await student(stores, room, pupil)).email == address


async def test_many_are_settled_a_few_at_a_time(stores: Stores) -> None:
    rooms = [await make_classroom(stores) for _ in range(5)]
    unknown = [await made_by_older(stores, room) for room in rooms]
    kept = await with_address(stores, rooms[0], "asa@éhuleedu.system")
    done = await settle(stores)
    assert (sorted(done.placeholders), done.freed) == (sorted(unknown), ())
    assert (await student(stores, rooms[0], kept)).email is not None


async def test_suggestions_of_it_from_older_versions_are_withdrawn(stores: Stores) -> None:
    room = await make_classroom(stores)
    pupil = await with_address(stores, room, "asa@skola.example")
    delivery = deliver(room.id, result(suggest(pupil, 0.9)), result(suggest(room.students[0])))
    await store_one(stores, delivery)
    await made_unknown(stores, room, pupil)
    assert await settle(stores) == Settled((pupil,))
    assert await stores.placeholders.withdraw(10) == [pupil]
    assert await stores.placeholders.withdraw(10) == []
    withdrawn, other = await associations_of(stores, StoredBatch(room, delivery))
    assert (withdrawn.suggested_student_id, withdrawn.confidence) == (None, 0.0)
    assert (withdrawn.status, withdrawn.match_reasons) == (Status.PENDING, ())
    assert other.suggested_student_id == room.students[0]
    [change] = [
        c
        for c in await stores.past.changes()
        if c.entity is Entity.ASSOCIATION and c.kind is ChangeKind.UPDATED
    ]
    assert (change.by, change.owner_id) == (SYSTEM_AUTO, room.teacher.user_id)


async def made_unknown(stores: Stores, room: Classroom, student_id: UUID) -> None:
    """Make a student what older versions made as UNKNOWN; what that published is taken."""
    email = EmailChange(unknown_student_email(room.id))
    change = StudentChange(UNKNOWN_NAME, email)
    await stores.classes.update_student(room.teacher, student_id, change)
    await stores.published()


# --- before they are settled ---------------------------------------------------------------------


async def test_clock_takes_the_one_of_an_older_version(stores: Stores) -> None:
    room = await make_classroom(stores)
    unknown = await made_by_older(stores, room)
    assert await guest(stores, room) == unknown
    assert (await student(stores, room, unknown)).is_placeholder
    published = by_topic(await stores.published())
    assert not published.keys() & {topics.STUDENT_CREATED, topics.STUDENT_UPDATED}
    assert await settle(stores) == Settled()


@pytest.mark.parametrize("first", ["Okänd", "Gäst"])
async def test_renamed_one_gets_no_unknown_essay(stores: Stores, first: str) -> None:
    room = await make_classroom(stores)
    renamed = await made_by_older(stores, room, first)
    unknown = await guest(stores, room)
    assert unknown != renamed
    made = await student(stores, room, unknown)
    assert (made.is_placeholder, made.name) == (True, UNKNOWN_NAME)
    before = await student(stores, room, renamed)
    assert (before.is_placeholder, before.email) == (False, None)
    published = by_topic(await stores.published())
    [updated] = published[topics.STUDENT_UPDATED]
    assert (updated.key, updated.data["student_email"]) == (str(renamed), None)
    [created] = published[topics.STUDENT_CREATED]
    assert created.key == str(unknown)


async def test_teacher_who_took_its_address_gets_no_unknown_essay(stores: Stores) -> None:
    room = await make_classroom(stores)
    pupil = await with_address(stores, room, f"Unknown.{room.id}@huleEdu.system")
    assert await guest(stores, room) != pupil
    assert (await student(stores, room, pupil)).email is None


async def test_essay_for_which_it_was_suggested_is_a_guest(stores: Stores) -> None:
    """However sure the matching service was, and though nothing needed UNKNOWN otherwise."""
    room = await make_classroom(stores)
    pupil = await with_address(stores, room, "asa@skola.example")
    delivery = deliver(room.id, result(suggest(pupil, 0.99)))
    await store_one(stores, delivery)
    await made_unknown(stores, room, pupil)
    batch = StoredBatch(room, delivery)
    await due(stores, batch)
    [association] = await associations_of(stores, batch)
    assert association.student_id == pupil
    [processed] = await stores.published(topics.TIMEOUT_PROCESSED)
    assert processed.data["guest_essays"] == [str(batch.essays[0])]
    assert processed.data["auto_confirmed_associations"] == []
    assert await settle(stores) == Settled()


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("student.update", {}),
        ("student.update", {"person_name": name("Gäst", "Gäst")}),
        ("student.delete", {}),
        ("student.create", {"person_name": name("UNKNOWN", "STUDENT")}),
        ("student.create", {"person_name": name("Åsa", "Öberg")}),
    ],
)
async def test_no_command_changes_it(stores: Stores, command: str, given: dict[str, Any]) -> None:
    room, unknown = await classroom_with_unknown(stores)
    before = await student(stores, room, unknown)
    user = room.teacher.user_id
    sent = commands.deliver(command, user, student_id=unknown, **given)
    [done] = await stores.commands.apply_commands([sent])
    assert (done.status, done.error_code) == (CommandStatus.REJECTED, "PLACEHOLDER_STUDENT")
    assert await student(stores, room, unknown) == before
    assert [one.topic for one in await stores.published()] == [topics.COMMAND_RESULTS]


async def test_no_roster_takes_it(stores: Stores) -> None:
    room, unknown = await classroom_with_unknown(stores)
    other = await make_class(stores, room.teacher, new_class("9B"))
    await stores.published()
    rows = [commands.student(first="Bo"), commands.student(student_id=unknown, first="UNKNOWN")]
    user = room.teacher.user_id
    sent = commands.deliver("roster.register", user, class_id=other.id, students=rows)
    [done] = await stores.commands.apply_commands([sent])
    assert (done.status, done.error_code) == (CommandStatus.REJECTED, "PLACEHOLDER_STUDENT")
    assert [fault.pointer for fault in done.errors] == ["/students/1/student_id"]
    assert (await student(stores, room, unknown)).class_ids == (room.id,)
    assert [one.topic for one in await stores.published()] == [topics.COMMAND_RESULTS]
