"""Every accepted batch closes, once: what every store promises."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from rules import topics
from rules.errors import (
    BatchNotFoundError,
    EssayNotFoundError,
    ValidationFailedError,
)
from rules.ids import new_id
from rules.models import BatchTotals, HumanDecision, StudentChange, Trace
from rules.open_batches import Ending, Settled
from rules.suggestions import Outcome
from tests.integration.store.builders import (
    A_DAY,
    Classroom,
    Published,
    StoredBatch,
    Stores,
    anew,
    by_topic,
    caller,
    deliver,
    make_batch,
    make_classroom,
    new_class,
    parse,
    result,
    store_one,
    suggest,
    timers,
)

DEAD_LETTERS = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)
NOTHING = {
    "total_associations": 0,
    "confirmed": 0,
    "rejected": 0,
    "human": 0,
    "timeout": 0,
    "auto": 0,
}


def reasons(published: Sequence[Published]) -> list[str]:
    letters = [dict(one.message.headers) for one in published if one.topic == DEAD_LETTERS]
    return [headers["dlt-reason"].decode() for headers in letters]


async def closed(stores: Stores, batch_id: UUID) -> bool:
    [state] = await stores.timers.batch_states([batch_id])
    assert (state.closed_at is None) or state.pending_count == 0
    return state.closed_at is not None


# --- nothing to decide -------------------------------------------------------------------------


async def test_a_message_without_results_closes_its_batch_with_its_event(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id)
    batch_id = delivery.message.batch_id
    assert await store_one(stores, delivery) is Outcome.CLOSED
    assert await closed(stores, batch_id)
    published = by_topic(await stores.published())
    assert published.keys() == {
        topics.ASSOCIATIONS_CONFIRMED,
        topics.NOTIFICATION_REQUESTED,
        topics.TIMERS,
    }
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert (confirmed.key, confirmed.data["class_id"]) == (str(batch_id), str(room.id))
    assert confirmed.data["course_code"] == "SV1"
    assert (confirmed.data["associations"], confirmed.data["timeout_triggered"]) == ([], False)
    assert confirmed.data["validation_summary"] == NOTHING
    assert confirmed.envelope["correlation_id"] == str(delivery.message.trace.correlation_id)
    [told] = published[topics.NOTIFICATION_REQUESTED]
    assert told.data["notification_type"] == "student_associations_confirmed"
    assert told.data["payload"]["confirmed_count"] == 0
    assert timers(published[topics.TIMERS]) == [("cleared", None)]


async def test_a_message_with_essays_of_other_batches_alone_closes_its_batch(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9, None)
    delivery = deliver(batch.room.id, *batch.delivery.message.results)
    handled = await stores.inbox.store_suggestions([delivery])
    assert handled.outcomes == [Outcome.CLOSED]
    [left_out] = handled.elsewhere
    assert left_out.message == delivery.message
    assert left_out.batches == dict.fromkeys(batch.essays, batch.id)
    assert await closed(stores, delivery.message.batch_id)
    assert not await closed(stores, batch.id)
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert (confirmed.key, confirmed.data["associations"]) == (str(delivery.message.batch_id), [])


async def test_what_other_batches_have_is_named_beside_what_is_stored(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    delivery = deliver(batch.room.id, result(), result(essay_id=batch.essays[0]))
    handled = await stores.inbox.store_suggestions([delivery])
    assert handled.outcomes == [Outcome.STORED]
    assert [one.batches for one in handled.elsewhere] == [{batch.essays[0]: batch.id}]
    again = await stores.inbox.store_suggestions([delivery])
    assert (again.outcomes, again.elsewhere) == ([Outcome.DUPLICATE], [])


@pytest.mark.parametrize("brings", ["nothing", "its own essays", "essays of another batch"])
async def test_a_message_that_brings_nothing_new_to_an_open_batch_changes_nothing(
    stores: Stores, brings: str
) -> None:
    batch = await make_batch(stores, 0.9)
    other = await make_batch(stores, 0.8, room=batch.room)
    results = {
        "nothing": (),
        "its own essays": batch.delivery.message.results,
        "essays of another batch": other.delivery.message.results,
    }[brings]
    late = deliver(batch.room.id, *results, batch_id=batch.id)
    handled = await stores.inbox.store_suggestions([late])
    assert handled.outcomes == [Outcome.NOTHING_NEW]
    expected = [{other.essays[0]: other.id}] if brings == "essays of another batch" else []
    assert [one.batches for one in handled.elsewhere] == expected
    assert await stores.published() == []
    assert not await closed(stores, batch.id)


async def test_of_an_empty_and_a_full_message_in_one_list_the_second_comes_too_late(
    stores: Stores,
) -> None:
    room = await make_classroom(stores)
    batch_id = new_id()
    empty, full = deliver(room.id, batch_id=batch_id), deliver(room.id, result(), batch_id=batch_id)
    outcomes = (await stores.inbox.store_suggestions([empty, full])).outcomes
    assert outcomes == [Outcome.CLOSED, Outcome.DEAD_LETTERED]
    published = await stores.published()
    assert reasons(published) == ["batch_closed"]
    assert len(by_topic(published)[topics.ASSOCIATIONS_CONFIRMED]) == 1


async def test_an_empty_message_that_waited_for_its_class_closes_its_batch(
    stores: Stores,
) -> None:
    teacher, class_id = caller(), new_id()
    delivery = deliver(class_id)
    assert await store_one(stores, delivery) is Outcome.PARKED
    await make_classroom(stores, 0, teacher, new_class(class_id=class_id))
    await stores.elapse(A_DAY / 24 / 60)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.CLOSED]
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1


async def test_an_empty_message_comes_again_and_closes_nothing_twice(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id)
    assert await store_one(stores, delivery) is Outcome.CLOSED
    assert await store_one(stores, delivery) is Outcome.DUPLICATE
    assert await store_one(stores, anew(delivery)) is Outcome.DUPLICATE
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1


# --- a class is deleted ------------------------------------------------------------------------


async def deleted(stores: Stores, *confidences: float | None) -> tuple[StoredBatch, Trace]:
    """Store a batch whose first essay is confirmed, and delete its class; return that trace."""
    batch = await make_batch(stores, *confidences)
    first = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [first])
    await stores.published()
    deleter = caller(batch.room.teacher.user_id)
    await stores.classes.delete_class(deleter, batch.room.id)
    return batch, deleter.trace


async def test_batch_of_a_deleted_class_closes_with_its_one_event(stores: Stores) -> None:
    batch, trace = await deleted(stores, 0.9, 0.8, None)
    assert [one.topic for one in await stores.published()] == [topics.CLASS_DELETED]
    [settled] = await stores.open_batches.settle(10)
    assert settled == Settled(batch.id, Ending.CLASS_DELETED, rejected=2)
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.envelope["correlation_id"] == str(trace.correlation_id)
    data = confirmed.data
    assert (data["class_id"], data["course_code"]) == (str(batch.room.id), "SV1")
    assert data["timeout_triggered"] is False
    assert data["validation_summary"] == {
        "total_associations": 3,
        "confirmed": 1,
        "rejected": 2,
        "human": 3,
        "timeout": 0,
        "auto": 0,
    }
    told = {one["essay_id"]: one for one in data["associations"]}
    assert told[str(batch.essays[0])]["student_id"] == str(batch.room.students[0])
    for essay_id in batch.essays[1:]:
        association = told[str(essay_id)]
        assert (association["student_id"], association["validation_method"]) == (None, "human")
        assert association["validated_by"] == batch.room.teacher.user_id
        assert association["validated_at"] is not None
    [notification] = published[topics.NOTIFICATION_REQUESTED]
    assert notification.data["teacher_id"] == batch.room.teacher.user_id
    assert notification.data["notification_type"] == "student_associations_confirmed"
    assert timers(published[topics.TIMERS]) == [("cleared", None)]
    assert await closed(stores, batch.id)
    assert await stores.open_batches.settle(10) == []
    names = await stores.queries.student_names(batch.id)
    assert [name.essay_id for name in names] == batch.essays[:1]
    with pytest.raises(EssayNotFoundError):
        await stores.queries.essay_student(batch.essays[1])


async def test_clock_leaves_a_deleted_class_alone(stores: Stores) -> None:
    batch, _ = await deleted(stores, 0.9, 0.8, None)
    await stores.elapse(2 * A_DAY)
    assert await stores.timers.overdue(10, 0) == []
    assert await stores.timers.pending_batches(None, 10) == []
    assert (await stores.timers.decide_due([batch.id])).essays == 0
    with pytest.raises(BatchNotFoundError):
        await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    assert [one.rejected for one in await stores.open_batches.settle(10)] == [2]


async def test_batch_that_the_clock_decided_in_part_says_so_when_its_class_is_deleted(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9, None)
    await stores.elapse(A_DAY)
    late = deliver(batch.room.id, result(), batch_id=batch.id)
    await store_one(stores, late)
    await stores.timers.decide_due([batch.id])
    await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    await stores.published()
    await stores.open_batches.settle(10)
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.data["timeout_triggered"] is True
    [processed] = published[topics.TIMEOUT_PROCESSED]
    assert processed.data["user_id"] == batch.room.teacher.user_id
    kept = processed.data["auto_confirmed_associations"]
    assert [one["essay_id"] for one in kept] == [str(batch.essays[0])]
    assert processed.data["guest_essays"] == [str(batch.essays[1])]


async def test_only_as_many_batches_close_at_once_as_are_asked_for(stores: Stores) -> None:
    room = await make_classroom(stores)
    ids = {(await make_batch(stores, 0.9, room=room)).id for _ in range(5)}
    await stores.classes.delete_class(room.teacher, room.id)
    done = [await stores.open_batches.settle(2) for _ in range(4)]
    assert [len(some) for some in done] == [2, 2, 1, 0]
    assert {one.batch_id for some in done for one in some} == ids
    confirmed = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert {one.key for one in confirmed} == {str(batch_id) for batch_id in ids}


async def test_several_workers_close_each_batch_once(stores: Stores) -> None:
    room = await make_classroom(stores)
    ids = {(await make_batch(stores, 0.9, None, room=room)).id for _ in range(6)}
    await stores.classes.delete_class(room.teacher, room.id)
    await asyncio.gather(*(stores.open_batches.settle(10) for _ in range(4)))
    await stores.open_batches.settle(10)
    confirmed = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert sorted(str(one.key) for one in confirmed) == sorted(map(str, ids))


async def test_class_id_that_is_used_again_keeps_the_owners_apart(stores: Stores) -> None:
    batch, _ = await deleted(stores, 0.9, 0.8)
    other = caller("teacher-2")
    room = await make_classroom(stores, 1, other, new_class(class_id=batch.room.id))
    own = await make_batch(stores, 0.9, room=room)
    await stores.classes.delete_class(other, room.id)
    await stores.open_batches.settle(10)
    published = await stores.published(topics.NOTIFICATION_REQUESTED)
    told = {one.data["batch_id"]: one.data["teacher_id"] for one in published}
    assert told == {str(batch.id): batch.room.teacher.user_id, str(own.id): other.user_id}


@pytest.mark.parametrize("when", ["at once", "closed", "made anew"])
async def test_message_for_a_batch_of_a_deleted_class_says_so(stores: Stores, when: str) -> None:
    batch, _ = await deleted(stores, 0.9, 0.8)
    if when != "at once":
        await stores.open_batches.settle(10)
    if when == "made anew":
        await make_classroom(stores, 0, batch.room.teacher, new_class(class_id=batch.room.id))
    await stores.published()
    late = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, late) is Outcome.DEAD_LETTERED
    assert reasons(await stores.published()) == ["class_deleted"]
    assert await store_one(stores, anew(late)) is Outcome.DEAD_LETTERED


async def test_new_batch_for_a_deleted_class_does_not_wait_for_it(stores: Stores) -> None:
    room = await make_classroom(stores)
    waiting = deliver(room.id, result(suggest(new_id())))
    assert await store_one(stores, waiting) is Outcome.PARKED
    await stores.classes.delete_class(room.teacher, room.id)
    assert await store_one(stores, deliver(room.id, result())) is Outcome.DEAD_LETTERED
    await stores.elapse(A_DAY / 24 / 60 / 60)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.DEAD_LETTERED]
    assert reasons(await stores.published()) == ["class_deleted"] * 2
    assert await stores.open_batches.settle(10) == []


async def test_deleted_classes_are_forgotten_when_no_message_can_name_them(
    stores: Stores,
) -> None:
    batch, _ = await deleted(stores, 0.9, 0.8)
    await stores.elapse(15 * A_DAY)
    assert await stores.maintenance.purge_deleted_classes(14) == 0
    await stores.open_batches.settle(10)
    assert await stores.maintenance.purge_deleted_classes(16) == 0
    assert await stores.maintenance.purge_deleted_classes(14) == 1
    assert await store_one(stores, deliver(batch.room.id, result())) is Outcome.PARKED
    late = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, late) is Outcome.DEAD_LETTERED
    assert reasons(await stores.published()) == ["class_deleted"]


# --- a student leaves --------------------------------------------------------------------------


async def suggested(stores: Stores, batch: StoredBatch) -> list[tuple[UUID | None, float]]:
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a.association for a in view.associations}
    return [(shown[e].suggested_student_id, shown[e].confidence) for e in batch.essays]


async def leave(stores: Stores, room: Classroom, student_id: UUID) -> None:
    change = StudentChange(remove_class_ids=(room.id,))
    await stores.classes.update_student(room.teacher, student_id, change)


async def test_leaving_withdraws_what_is_pending_in_that_class(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    student = batch.room.students[0]
    other = await make_classroom(stores, 0, batch.room.teacher)
    join = StudentChange(add_class_ids=(other.id,))
    await stores.classes.update_student(batch.room.teacher, student, join)
    elsewhere = deliver(other.id, result(suggest(student)))
    await store_one(stores, elsewhere)
    await stores.published()
    await leave(stores, batch.room, student)
    assert await suggested(stores, batch) == [(None, 0.0), (batch.room.students[1], 0.8)]
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    reasons_left = {a.association.essay_id: a.association.match_reasons for a in view.associations}
    assert reasons_left[batch.essays[0]] == ()
    assert all(a.association.pending for a in view.associations)
    kept = StoredBatch(other, elsewhere)
    assert await suggested(stores, kept) == [(student, 0.9)]
    assert {one.topic for one in await stores.published()} == {topics.STUDENT_UPDATED}


async def test_who_has_left_is_chosen_by_nobody(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    student = batch.room.students[0]
    await leave(stores, batch.room, student)
    named = HumanDecision(batch.essays[0], confirmed=True, student_id=student)
    with pytest.raises(ValidationFailedError) as caught:
        await stores.associations.confirm(batch.room.teacher, batch.id, [named])
    assert [error.pointer for error in caught.value.errors] == ["/associations/0/student_id"]
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    given = {n.essay_id: n.student_id for n in await stores.queries.student_names(batch.id)}
    assert given[batch.essays[0]] not in batch.room.students
    assert given[batch.essays[1]] == batch.room.students[1]


async def test_a_decision_outlives_the_leaving_and_a_suggestion_does_not_come_back(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    again = deliver(batch.room.id, result(suggest(batch.room.students[0])), batch_id=batch.id)
    await store_one(stores, again)
    first = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [first])
    await leave(stores, batch.room, batch.room.students[0])
    join = StudentChange(add_class_ids=(batch.room.id,))
    await stores.classes.update_student(batch.room.teacher, batch.room.students[0], join)
    assert await suggested(stores, batch) == [
        (batch.room.students[0], 0.9),
        (batch.room.students[1], 0.8),
    ]
    assert await suggested(stores, StoredBatch(batch.room, again)) == [(None, 0.0)]


async def test_student_leaves_while_it_is_confirmed_or_suggested(stores: Stores) -> None:
    for _ in range(5):
        batch = await make_batch(stores, 0.9, 0.8)
        student = batch.room.students[0]
        late = deliver(batch.room.id, result(suggest(student)))
        first = HumanDecision(batch.essays[0], confirmed=True)
        done = await asyncio.gather(
            leave(stores, batch.room, student),
            stores.associations.confirm(batch.room.teacher, batch.id, [first]),
            store_one(stores, late),
            return_exceptions=True,
        )
        assert isinstance(done[1], BatchTotals)
        [(shown, _), _] = await suggested(stores, batch)
        # Who has left is nobody's suggestion: then the essay was confirmed for UNKNOWN.
        decided = await stores.queries.essay_student(batch.essays[0])
        assert (decided.student_id == student) == (shown == student)
        assert shown == student or decided.name.first_name == "UNKNOWN"
        assert done[2] is Outcome.STORED
        assert await suggested(stores, StoredBatch(batch.room, late)) == [(None, 0.0)]
