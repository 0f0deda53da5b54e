"""The story of a batch: what every store knows of it."""

from datetime import timedelta

from rules import topics
from rules.ids import new_id
from rules.models import HumanDecision, Method, Policy, Status
from rules.shards import shard_of
from rules.story import Named, Story, What, steps
from rules.suggestions import Outcome
from store.protocols.outbox import Refusal
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    MakeStores,
    StoredBatch,
    Stores,
    deliver,
    first_of,
    make_batch,
    make_classroom,
    put_aside,
    result,
    store_one,
    suggest,
)


async def story(stores: Stores, batch: StoredBatch) -> Story:
    found = await stores.stories.story(batch.id)
    assert found is not None
    return found


async def confirm(stores: Stores, batch: StoredBatch, *indices: int) -> None:
    wanted = [HumanDecision(batch.essays[index], confirmed=True) for index in indices]
    await stores.associations.confirm(batch.room.teacher, batch.id, wanted)


async def test_unknown_id_names_nothing(stores: Stores) -> None:
    await make_batch(stores, 0.9)
    assert await stores.stories.named(new_id()) == []
    assert await stores.stories.story(new_id()) is None


async def test_batch_is_named_by_its_id_an_essay_and_its_correlation_id(stores: Stores) -> None:
    batch, _other = await make_batch(stores, 0.9, None), await make_batch(stores, 0.9)
    assert await stores.stories.named(batch.id) == [Named(batch.id)]
    assert await stores.stories.named(batch.essays[1]) == [Named(batch.id)]
    correlation_id = batch.delivery.message.trace.correlation_id
    essays = tuple(sorted(batch.essays))
    assert await stores.stories.named(correlation_id) == [Named(batch.id, essays)]


async def test_batches_of_a_class_are_listed_the_latest_first(stores: Stores) -> None:
    first = await make_batch(stores, 0.9)
    await stores.elapse(SOON)
    second = await make_batch(stores, 0.9, room=first.room)
    await make_batch(stores, 0.9)
    await confirm(stores, first, 0)
    class_id = first.room.id
    found = await stores.stories.of_class(class_id, 100)
    assert [one.batch_id for one in found] == [second.id, first.id]
    assert found[0].created_at > found[1].created_at
    assert [one.closed_at is None for one in found] == [True, False]
    assert await stores.stories.of_class(class_id, 1) == found[:1]
    assert await stores.stories.of_class(new_id(), 100) == []


async def test_decisions_and_corrections_are_found_by_what_they_were_made_under(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    other = await make_batch(stores, 0.9, room=batch.room)
    await confirm(stores, batch, 0)
    await confirm(stores, other, 0)
    decided = sorted(
        [Named(batch.id, (batch.essays[0],)), Named(other.id, (other.essays[0],))],
        key=lambda named: named.batch_id,
    )
    assert await stores.stories.named(batch.room.teacher.trace.correlation_id) == decided


async def test_story_has_suggestions_decisions_corrections_and_the_end(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, None)
    stored = (await story(stores, batch)).stored
    assert stored is not None
    trace = batch.delivery.message.trace
    assert (stored.correlation_id, stored.class_id) == (trace.correlation_id, batch.room.id)
    assert (stored.owner_id, stored.is_orphaned) == (batch.room.teacher.user_id, False)
    await stores.elapse(SOON)
    await confirm(stores, batch, 0, 1)
    await stores.elapse(SOON)
    teacher = batch.room.teacher
    await stores.associations.correct(teacher, batch.id, batch.essays[0], None)
    told = await story(stores, batch)
    assert told.stored is not None
    assert told.stored.closed_at is not None
    assert told.pending == []
    [first, second] = sorted(told.essays, key=lambda essay: batch.essays.index(essay.id))
    assert (first.is_suggested, second.is_suggested, second.was_suggested) == (True, False, False)
    assert [(one.status, one.method, one.by) for one in first.decisions] == [
        (Status.CONFIRMED, Method.HUMAN, teacher.user_id),
        (Status.REJECTED, Method.HUMAN, teacher.user_id),
    ]
    assert len(second.decisions) == 1
    whats = [step.what for step in steps(told) if step.what is not What.UNSENT]
    kinds = [What.SUGGESTED, What.ARMED, What.DECIDED, What.CORRECTED, What.CLOSED]
    assert sorted(whats) == sorted(kinds)


async def test_suggestion_that_was_withdrawn_is_told_from_none(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, None)
    await stores.classes.delete_student(batch.room.teacher, batch.room.students[0])
    told = await story(stores, batch)
    [first, second] = sorted(told.essays, key=lambda essay: batch.essays.index(essay.id))
    assert (first.is_suggested, first.was_suggested) == (False, True)
    assert (second.is_suggested, second.was_suggested) == (False, False)


async def test_deleted_class_is_told_with_who_deleted_it(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    stored = (await story(stores, batch)).stored
    assert stored is not None
    teacher = batch.room.teacher.user_id
    assert (stored.class_id, stored.is_orphaned) == (batch.room.id, True)
    assert (stored.owner_id, stored.class_deleted_by) == (teacher, teacher)
    assert stored.class_deleted_at is not None


async def test_parked_message_is_told_before_its_batch_is_there(make_stores: MakeStores) -> None:
    stores = await make_stores(Policy(suggestion_retry=timedelta(hours=2)))
    delivery = deliver(new_id(), result(suggest(new_id())))
    assert await store_one(stores, delivery) is Outcome.PARKED
    batch_id = delivery.message.batch_id
    assert await stores.stories.named(batch_id) == [Named(batch_id)]
    told = await stores.stories.story(batch_id)
    assert told is not None
    assert (told.stored, told.essays) == (None, ())
    [parked] = told.parked
    record = delivery.record
    assert parked.event_id == delivery.message.event_id
    assert (parked.topic, parked.partition, parked.offset) == (record.topic, 0, record.offset)
    assert parked.at.timestamp() * 1000 == record.timestamp_ms
    assert told.begins == parked.at
    assert [step.what for step in steps(told)] == [What.PARKED]


async def test_messages_of_the_batch_that_wait_are_told_and_no_others(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    other = await make_batch(stores, 0.9, room=room)
    delivery = deliver(room.id, result(suggest(room.students[0])))
    assert await store_one(stores, delivery) is Outcome.STORED
    batch = StoredBatch(room, delivery)
    told = await story(stores, batch)
    assert [one.topic for one in told.unsent] == [topics.NOTIFICATION_REQUESTED, topics.TIMERS]
    assert all(one.event_id and one.set_aside_at is None for one in told.unsent)
    assert (await story(stores, other)).unsent == ()
    shard = shard_of(str(batch.id).encode())
    waiting = await first_of(stores.outbox, shard)
    ours = [one.id for one in waiting if one.message.topic == topics.TIMERS]
    await put_aside(stores.outbox, shard, dict.fromkeys(ours, Refusal.TOO_LARGE))
    [aside] = [one for one in (await story(stores, batch)).unsent if one.set_aside_at]
    assert (aside.topic, aside.reason, [aside.number]) == (topics.TIMERS, "too_large", ours)
    await stores.published()


async def test_what_the_clock_decided_is_told_also_after_a_correction(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    teacher = batch.room.teacher
    await stores.associations.correct(teacher, batch.id, batch.essays[0], batch.room.students[1])
    [essay] = (await story(stores, batch)).essays
    assert [one.method for one in essay.decisions] == [Method.TIMEOUT, Method.HUMAN]
