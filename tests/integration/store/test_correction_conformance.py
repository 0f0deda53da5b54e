"""Decisions that are corrected, and what is kept of the former ones: what every store promises."""

import asyncio
from typing import TypeAlias
from uuid import UUID

import pytest

from rules import topics
from rules.errors import (
    BatchConflictError,
    BatchNotFoundError,
    EssayNotFoundError,
    ServiceError,
    ValidationFailedError,
)
from rules.ids import new_id
from rules.models import (
    AssociationView,
    HumanDecision,
    Method,
    PastDecision,
    Policy,
    Status,
    StudentChange,
)
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    MakeStores,
    StoredBatch,
    Stores,
    by_topic,
    caller,
    deliver,
    make_batch,
    make_classroom,
    result,
    store_one,
    suggest,
)
from tests.unit.rules import members


async def correct(
    stores: Stores, batch: StoredBatch, index: int, student_id: UUID | None
) -> AssociationView:
    """Correct as the batch's teacher."""
    essay_id = batch.essays[index]
    return await stores.associations.correct(batch.room.teacher, batch.id, essay_id, student_id)


async def confirm(stores: Stores, batch: StoredBatch, *indices: int) -> None:
    wanted = [HumanDecision(batch.essays[index], confirmed=True) for index in indices]
    await stores.associations.confirm(batch.room.teacher, batch.id, wanted)


async def history(stores: Stores, batch: StoredBatch, index: int) -> list[PastDecision]:
    owner = batch.room.teacher.user_id
    return await stores.associations.history(owner, batch.id, batch.essays[index])


Said: TypeAlias = tuple[Status, Method, UUID | None, str]


def said(decisions: list[PastDecision]) -> list[Said]:
    assert [one.at for one in decisions] == sorted(one.at for one in decisions)
    return [(one.status, one.method, one.student_id, one.by) for one in decisions]


async def unknown_of(stores: Stores, batch: StoredBatch, index: int) -> UUID:
    """Return the UNKNOWN student, which the clock gave an essay."""
    return (await stores.queries.essay_student(batch.essays[index])).student_id


# --- correcting --------------------------------------------------------------------------------


async def test_decision_of_a_closed_batch_is_corrected(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    first, other = batch.room.students[:2]
    await confirm(stores, batch, 0)
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    await stores.elapse(SOON)
    shown = await correct(stores, batch, 0, other)
    after = shown.association
    assert (after.status, after.method, after.student_id) == (
        Status.CONFIRMED,
        Method.HUMAN,
        other,
    )
    assert after.validated_by == batch.room.teacher.user_id
    assert after.validated_at is not None
    assert after.validated_at > after.created_at
    assert (after.suggested_student_id, after.confidence) == (first, 0.9)
    assert shown.student_name == "First1 Last1"
    owner = batch.room.teacher.user_id
    assert await stores.associations.get_association(owner, batch.id, batch.essays[0]) == shown
    assert (await stores.associations.get_batch(owner, batch.id)).associations == (shown,)
    [name] = await stores.queries.student_names(batch.id)
    assert name.student_id == other
    assert confirmed.data["associations"][0]["student_id"] == str(first)


async def test_correction_publishes_its_event_and_nothing_else(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    other = batch.room.students[1]
    await confirm(stores, batch, 0)
    await stores.published()
    await correct(stores, batch, 0, other)
    [updated] = await stores.published()
    assert (updated.topic, updated.key) == (topics.ASSOCIATION_UPDATED, str(batch.id))
    assert set(updated.envelope) == members.ENVELOPE
    assert set(updated.data) == members.ASSOCIATION_UPDATED
    teacher = batch.room.teacher
    timestamp = updated.data["timestamp"]
    assert updated.data == {
        "event": "essay.student.association.updated",
        "batch_id": str(batch.id),
        "essay_id": str(batch.essays[0]),
        "student_id": str(other),
        "first_name": "First1",
        "last_name": "Last1",
        "student_email": f"s1.{batch.room.id}@school.example",
        "association_method": "manual",
        "confidence_score": None,
        "created_by_user_id": teacher.user_id,
        "correlation_id": str(teacher.trace.correlation_id),
        "timestamp": timestamp,
    }


async def test_an_essay_is_nobodys_and_somebodys_again(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    first = batch.room.students[0]
    await confirm(stores, batch, 0)
    await stores.published()
    rejected = (await correct(stores, batch, 0, None)).association
    assert (rejected.status, rejected.student_id) == (Status.REJECTED, None)
    assert await stores.queries.student_names(batch.id) == []
    again = (await correct(stores, batch, 0, first)).association
    assert (again.status, again.student_id) == (Status.CONFIRMED, first)
    nobody, somebody = await stores.published()
    named = ("student_id", "first_name", "last_name", "student_email")
    assert [nobody.data[name] for name in named] == [None] * 4
    assert somebody.data["student_id"] == str(first)


async def test_a_rejected_essay_with_another_student_becomes_that_students(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9)
    other = batch.room.students[1]
    decision = HumanDecision(batch.essays[0], confirmed=False, student_id=other)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    after = (await correct(stores, batch, 0, other)).association
    assert (after.status, after.student_id) == (Status.CONFIRMED, other)


async def test_unknown_student_is_one_of_the_class(stores: Stores) -> None:
    batch = await make_batch(stores, None, 0.9)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    unknown = await unknown_of(stores, batch, 0)
    after = await correct(stores, batch, 1, unknown)
    assert (after.association.student_id, after.student_name) == (unknown, "UNKNOWN STUDENT")
    assert after.association.status is Status.CONFIRMED


@pytest.mark.parametrize("by", ["a teacher", "the clock", "itself"])
async def test_the_same_again_changes_nothing(make_stores: MakeStores, by: str) -> None:
    stores = await make_stores(Policy(auto_confirm=0.8 if by == "itself" else None))
    batch = await make_batch(stores, 0.9, 0.5)
    first = batch.room.students[0]
    if by == "the clock":
        await stores.elapse(A_DAY)
        await stores.timers.decide_due([batch.id])
    elif by == "a teacher":
        await confirm(stores, batch, 0)
    owner = batch.room.teacher.user_id
    before = await stores.associations.get_association(owner, batch.id, batch.essays[0])
    past = await history(stores, batch, 0)
    await stores.published()
    await stores.elapse(SOON)
    repeated = await correct(stores, batch, 0, first)
    assert repeated.association.student_id == before.association.student_id == first
    assert repeated.association.method == before.association.method
    assert said(await history(stores, batch, 0)) == said(past)
    assert len(past) == 1
    assert await stores.published() == []


async def test_who_has_left_the_class_may_stay_and_not_come(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    first, second = batch.room.students[:2]
    await confirm(stores, batch, 0, 1)
    for student_id in (first, second):
        change = StudentChange(remove_class_ids=(batch.room.id,))
        await stores.classes.update_student(batch.room.teacher, student_id, change)
    await stores.published()
    assert (await correct(stores, batch, 0, first)).association.student_id == first
    with pytest.raises(ValidationFailedError) as refusal:
        await correct(stores, batch, 0, second)
    assert [fault.pointer for fault in refusal.value.errors] == ["/student_id"]
    assert await stores.published() == []


async def test_pending_essay_is_to_be_confirmed_first(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    await confirm(stores, batch, 0)
    await stores.published()
    for student_id in (batch.room.students[0], None, new_id()):
        with pytest.raises(BatchConflictError) as refusal:
            await correct(stores, batch, 1, student_id)
        assert "confirm it" in refusal.value.detail
    assert await history(stores, batch, 1) == []
    assert await stores.published() == []


async def test_essay_of_another_batch_is_absent(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch = await make_batch(stores, 0.9, room=room)
    other = await make_batch(stores, 0.9, room=room)
    for essay_id in (other.essays[0], new_id()):
        with pytest.raises(EssayNotFoundError):
            await stores.associations.correct(room.teacher, batch.id, essay_id, None)
        with pytest.raises(EssayNotFoundError):
            await stores.associations.history(room.teacher.user_id, batch.id, essay_id)
        with pytest.raises(EssayNotFoundError):
            await stores.associations.get_association(room.teacher.user_id, batch.id, essay_id)


async def test_batch_of_a_deleted_class_is_absent(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await confirm(stores, batch, 0)
    await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    with pytest.raises(BatchNotFoundError):
        await correct(stores, batch, 0, None)
    with pytest.raises(BatchNotFoundError):
        await history(stores, batch, 0)


async def test_student_of_another_owner_is_outside_the_class(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await confirm(stores, batch, 0)
    foreign = (await make_classroom(stores, 1, caller("other"))).students[0]
    for student_id in (foreign, new_id()):
        with pytest.raises(ValidationFailedError):
            await correct(stores, batch, 0, student_id)


# --- history -----------------------------------------------------------------------------------


async def test_every_decision_stays_readable(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    first, other = batch.room.students[:2]
    teacher = batch.room.teacher.user_id
    assert await history(stores, batch, 0) == []
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    clock: Said = (Status.TIMEOUT_CONFIRMED, Method.TIMEOUT, first, "SYSTEM_TIMEOUT")
    assert said(await history(stores, batch, 0)) == [clock]
    expected = [clock]
    for student_id in (other, None, first):
        await stores.elapse(SOON)
        await correct(stores, batch, 0, student_id)
        status = Status.CONFIRMED if student_id else Status.REJECTED
        expected.append((status, Method.HUMAN, student_id, teacher))
        assert said(await history(stores, batch, 0)) == expected
    shown = await stores.associations.get_association(teacher, batch.id, batch.essays[0])
    assert (await history(stores, batch, 0))[-1].at == shown.association.validated_at


async def test_deleted_student_is_nobody_in_the_history(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    first, other = batch.room.students[:2]
    await confirm(stores, batch, 0)
    await correct(stores, batch, 0, other)
    await stores.classes.delete_student(batch.room.teacher, first)
    assert [one.student_id for one in await history(stores, batch, 0)] == [None, other]
    await stores.classes.delete_student(batch.room.teacher, other)
    assert [one.student_id for one in await history(stores, batch, 0)] == [None, None]
    # Whose student is gone can be given to somebody who is there.
    third = batch.room.students[2]
    await correct(stores, batch, 0, third)
    assert [one.student_id for one in await history(stores, batch, 0)] == [None, None, third]


# --- a batch that is still open ----------------------------------------------------------------


async def open_after_the_clock(stores: Stores, *, high: bool = True) -> StoredBatch:
    """Make a batch of which the clock has decided the first essay; the second joined later."""
    batch = await make_batch(stores, 0.9 if high else 0.1)
    await stores.elapse(SOON)
    later = result(suggest(batch.room.students[1]))
    delivery = deliver(batch.room.id, later, batch_id=batch.id)
    await store_one(stores, delivery)
    await stores.elapse(A_DAY - SOON)
    assert (await stores.timers.decide_due([batch.id])).essays == 1
    await stores.published()
    merged = deliver(batch.room.id, *batch.delivery.message.results, later, batch_id=batch.id)
    return StoredBatch(batch.room, merged)


async def test_closing_tells_what_then_stands_and_that_the_clock_had_decided(
    stores: Stores,
) -> None:
    batch = await open_after_the_clock(stores)
    third = batch.room.students[2]
    await correct(stores, batch, 0, third)
    published = by_topic(await stores.published())
    assert published.keys() == {topics.ASSOCIATION_UPDATED}
    await confirm(stores, batch, 1)
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    told = {one["essay_id"]: one for one in confirmed.data["associations"]}
    corrected = told[str(batch.essays[0])]
    assert (corrected["student_id"], corrected["validation_method"]) == (str(third), "human")
    assert confirmed.data["timeout_triggered"] is True
    assert confirmed.data["validation_summary"] == {
        "total_associations": 2,
        "confirmed": 2,
        "rejected": 0,
        "human": 2,
        "timeout": 0,
        "auto": 0,
    }
    [timeout] = published[topics.TIMEOUT_PROCESSED]
    assert set(timeout.data) == members.TIMEOUT_PROCESSED
    assert (timeout.data["auto_confirmed_associations"], timeout.data["guest_essays"]) == ([], [])
    kinds = [one.data["notification_type"] for one in published[topics.NOTIFICATION_REQUESTED]]
    assert kinds == ["validation_timeout_processed", "student_associations_confirmed"]


async def test_correction_of_a_teachers_decision_makes_no_timeout(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    await confirm(stores, batch, 0)
    await correct(stores, batch, 0, None)
    await confirm(stores, batch, 1)
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.data["timeout_triggered"] is False
    assert topics.TIMEOUT_PROCESSED not in published


async def test_the_clock_closes_what_was_corrected_before(stores: Stores) -> None:
    batch = await open_after_the_clock(stores, high=False)
    await correct(stores, batch, 0, None)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    summary = confirmed.data["validation_summary"]
    assert (summary["rejected"], summary["timeout"], summary["human"]) == (1, 1, 1)
    [timeout] = published[topics.TIMEOUT_PROCESSED]
    kept = timeout.data["auto_confirmed_associations"]
    assert [one["essay_id"] for one in kept] == [str(batch.essays[1])]
    assert timeout.data["guest_essays"] == []


# --- at the same moment ------------------------------------------------------------------------


async def test_corrections_at_the_same_moment_all_stay_readable(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await confirm(stores, batch, 0)
    await stores.published()
    others = [batch.room.students[1], batch.room.students[2], None] * 2
    await asyncio.gather(*(correct(stores, batch, 0, student_id) for student_id in others))
    past = await history(stores, batch, 0)
    updated = await stores.published()
    assert {one.topic for one in updated} == {topics.ASSOCIATION_UPDATED}
    told = [one.data["student_id"] for one in updated]
    named = [str(one.student_id) if one.student_id else None for one in past]
    assert named == [str(batch.room.students[0]), *told]
    assert [one.at for one in past] == sorted(one.at for one in past)


async def test_correction_and_deletion_of_its_student_at_the_same_moment(
    stores: Stores,
) -> None:
    for _ in range(8):
        batch = await make_batch(stores, 0.9)
        first, other = batch.room.students[:2]
        await confirm(stores, batch, 0)
        answers = await asyncio.gather(
            correct(stores, batch, 0, other),
            stores.classes.delete_student(batch.room.teacher, first),
            stores.classes.delete_student(batch.room.teacher, other),
            return_exceptions=True,
        )
        assert all(isinstance(a, ServiceError) for a in answers if isinstance(a, BaseException))
        for one in await history(stores, batch, 0):
            assert one.student_id is None
