"""What the clock decides, and what the timers are told: what every store promises."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from rules import topics
from rules.ids import new_id
from rules.models import (
    SYSTEM_TIMEOUT,
    Association,
    HumanDecision,
    Method,
    Policy,
    Status,
)
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    Classroom,
    MakeStores,
    StoredBatch,
    Stores,
    by_topic,
    deliver,
    make_batch,
    make_class,
    make_classroom,
    new_class,
    result,
    store_one,
    suggest,
    timers,
)
from tests.unit.rules import members


async def associations_of(stores: Stores, batch: StoredBatch) -> list[Association]:
    """Return a batch's associations in the order of its essays."""
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    found = {a.association.essay_id: a.association for a in view.associations}
    return [found[essay_id] for essay_id in batch.essays]


async def unknown_students(stores: Stores, room: Classroom) -> list[UUID]:
    roster = await stores.rosters.roster(room.id, room.teacher.user_id)
    return [s.id for s in roster if s.email == f"unknown.{room.id}@huleedu.system"]


# --- deciding ----------------------------------------------------------------------------------


async def test_clock_never_decides_early(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    before = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    decided = await stores.timers.decide_due([batch.id])
    assert (decided.essays, decided.lateness) == (0, ())
    after = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    assert after == before
    assert timers(await stores.published()) == [("armed", 1)]
    await stores.elapse(A_DAY - SOON)
    assert (await stores.timers.decide_due([batch.id])).essays == 0


async def test_batch_of_the_matching_service_is_decided_at_its_deadline(stores: Stores) -> None:
    """Like sample 1: 0.97, a choice of two, 0.70, 0.69, no match, failed processing."""
    room = await make_classroom(stores, 6)
    students = room.students
    delivery = deliver(
        room.id,
        result(suggest(students[0], 0.97, ["email_exact"])),
        result(suggest(students[1], 0.74), suggest(students[5], 0.71)),
        result(suggest(students[2], 0.70)),
        result(suggest(students[3], 0.69)),
        result(),
        result(),
    )
    batch = StoredBatch(room, delivery)
    await store_one(stores, delivery)
    await stores.published()
    await stores.elapse(A_DAY)
    decided = await stores.timers.decide_due([batch.id])
    assert decided.essays == len(decided.lateness) == 6

    found = await associations_of(stores, batch)
    [unknown] = await unknown_students(stores, room)
    assert [a.student_id for a in found] == [*students[:3], unknown, unknown, unknown]
    assert {a.status for a in found} == {Status.TIMEOUT_CONFIRMED}
    assert {a.method for a in found} == {Method.TIMEOUT}
    assert {a.validated_by for a in found} == {SYSTEM_TIMEOUT}
    assert all(a.validated_at is not None for a in found)

    published = by_topic(await stores.published())
    assert timers(published[topics.TIMERS]) == [("cleared", None)]
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.data["timeout_triggered"] is True
    assert confirmed.data["validation_summary"] == {
        "total_associations": 6,
        "confirmed": 6,
        "rejected": 0,
        "human": 0,
        "timeout": 6,
        "auto": 0,
    }
    given = {a["essay_id"]: a["student_id"] for a in confirmed.data["associations"]}
    assert given == {str(a.essay_id): str(a.student_id) for a in found}

    [timeout] = published[topics.TIMEOUT_PROCESSED]
    trace = delivery.message.trace
    assert timeout.envelope["correlation_id"] == str(trace.correlation_id)
    assert confirmed.envelope["correlation_id"] == str(trace.correlation_id)
    assert timeout.key == str(batch.id)
    assert set(timeout.data) == members.TIMEOUT_PROCESSED
    assert timeout.data["event_name"] == "validation.timeout.processed"
    assert timeout.data["user_id"] == room.teacher.user_id
    assert timeout.data["timeout_hours"] == 24
    assert timeout.data["guest_class_created"] is False
    assert timeout.data["guest_class_id"] is None
    kept = timeout.data["auto_confirmed_associations"]
    assert all(set(a) == members.AUTO_CONFIRMED for a in kept)
    assert {a["essay_id"]: a["student_first_name"] for a in kept} == {
        str(batch.essays[i]): f"First{i}" for i in range(3)
    }
    assert {a["student_email"] for a in kept} == {
        f"s{i}.{room.id}@school.example" for i in range(3)
    }
    assert all(a["is_confirmed"] is True for a in kept)
    assert set(timeout.data["guest_essays"]) == {str(essay) for essay in batch.essays[3:]}

    kinds = [
        one.data["notification_type"]
        for one in published[topics.NOTIFICATION_REQUESTED]
        if one.data["batch_id"] == str(batch.id)
    ]
    assert sorted(kinds) == ["student_associations_confirmed", "validation_timeout_processed"]
    for one in published[topics.NOTIFICATION_REQUESTED]:
        assert set(one.data["payload"]) == members.PAYLOADS[one.data["notification_type"]]


async def test_clock_decides_a_batch_once(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, None)
    await stores.elapse(A_DAY)
    assert (await stores.timers.decide_due([batch.id, batch.id])).essays == 2
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1
    for _ in range(2):
        assert (await stores.timers.decide_due([batch.id])).essays == 0
    published = await stores.published()
    assert {one.topic for one in published} == {topics.TIMERS}
    assert timers(published) == [("cleared", None)] * 2


async def test_two_workers_with_one_batch_decide_it_once(stores: Stores) -> None:
    batches = [await make_batch(stores, 0.9, None) for _ in range(4)]
    ids = [batch.id for batch in batches]
    await stores.elapse(A_DAY)
    orders = [ids, ids[::-1], ids, ids[::-1]]
    decided = await asyncio.gather(*(stores.timers.decide_due(order) for order in orders))
    assert sum(one.essays for one in decided) == 8
    confirmed = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert sorted(str(one.key) for one in confirmed) == sorted(map(str, ids))
    for batch in batches:
        assert len(await unknown_students(stores, batch.room)) == 1


async def test_class_is_deleted_while_the_clock_decides(stores: Stores) -> None:
    for _ in range(3):
        batch = await make_batch(stores, 0.9, None)
        await stores.elapse(A_DAY)
        _, decided = await asyncio.gather(
            stores.classes.delete_class(batch.room.teacher, batch.room.id),
            stores.timers.decide_due([batch.id]),
        )
        settled = await stores.open_batches.settle(10)
        assert [one.rejected for one in settled] == [2] * (decided.essays == 0)
        [state] = await stores.timers.batch_states([batch.id])
        published = await stores.published()
        [confirmed] = [one for one in published if one.topic == topics.ASSOCIATIONS_CONFIRMED]
        assert confirmed.data["timeout_triggered"] is (decided.essays == 2)
        assert state.closed_at is not None
        assert state.pending_count == 0
        assert timers(published)[-1] == ("cleared", None)


async def test_student_is_deleted_while_the_clock_decides(stores: Stores) -> None:
    for _ in range(3):
        batch = await make_batch(stores, 0.9, 0.9)
        await stores.elapse(A_DAY)
        await asyncio.gather(
            stores.classes.delete_student(batch.room.teacher, batch.room.students[0]),
            stores.timers.decide_due([batch.id]),
        )
        await stores.timers.decide_due([batch.id])
        assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1
        names = await stores.queries.student_names(batch.id)
        assert batch.room.students[0] not in {name.student_id for name in names}
        assert batch.room.students[1] in {name.student_id for name in names}


async def test_half_human_half_clock_is_one_event(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9, None, 0.5)
    room = batch.room
    decisions = [
        HumanDecision(batch.essays[0], confirmed=True),
        HumanDecision(batch.essays[1], confirmed=False),
    ]
    await stores.associations.confirm(room.teacher, batch.id, decisions)
    assert not await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    await stores.elapse(A_DAY)
    assert (await stores.timers.decide_due([batch.id])).essays == 2
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.data["timeout_triggered"] is True
    assert confirmed.data["validation_summary"] == {
        "total_associations": 4,
        "confirmed": 3,
        "rejected": 1,
        "human": 2,
        "timeout": 2,
        "auto": 0,
    }
    [timeout] = published[topics.TIMEOUT_PROCESSED]
    assert timeout.data["auto_confirmed_associations"] == []
    assert set(timeout.data["guest_essays"]) == {str(essay) for essay in batch.essays[2:]}


async def test_human_after_part_was_timed_out_closes_with_the_timeout_event(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(SOON)
    further = deliver(batch.room.id, result(), batch_id=batch.id)
    await store_one(stores, further)
    await stores.elapse(A_DAY - SOON)
    await stores.published()
    decided = await stores.timers.decide_due([batch.id])
    assert decided.essays == 1
    [armed] = await stores.published()
    [pending] = await stores.timers.pending_batches(None, 10)
    assert (armed.data["event"], armed.data["pending_count"]) == ("armed", 1)
    assert armed.data["confirm_by"].startswith(f"{pending.confirm_by:%Y-%m-%dT%H:%M:%S}")
    essay_id = further.message.results[0].essay_id
    decision = HumanDecision(essay_id, confirmed=False)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    published = by_topic(await stores.published())
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.data["timeout_triggered"] is True
    [timeout] = published[topics.TIMEOUT_PROCESSED]
    kept = [a["essay_id"] for a in timeout.data["auto_confirmed_associations"]]
    assert kept == [str(batch.essays[0])]


async def test_teacher_may_repeat_what_the_clock_decided(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    await stores.published()
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    [association] = await associations_of(stores, batch)
    assert association.method is Method.TIMEOUT
    assert await stores.published() == []


async def test_teacher_may_decide_after_the_deadline_until_the_clock_does(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(2 * A_DAY)
    decision = HumanDecision(batch.essays[0], confirmed=False)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    assert (await stores.timers.decide_due([batch.id])).essays == 0
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert confirmed.data["timeout_triggered"] is False


async def test_thresholds_are_the_policys(make_stores: MakeStores) -> None:
    stores = await make_stores(Policy(timeout=timedelta(minutes=30), high_confidence=0.5))
    batch = await make_batch(stores, 0.5, 0.49)
    await stores.elapse(timedelta(minutes=30))
    assert (await stores.timers.decide_due([batch.id])).essays == 2
    kept, guest = await associations_of(stores, batch)
    assert kept.student_id == batch.room.students[0]
    assert [guest.student_id] == await unknown_students(stores, batch.room)
    [timeout] = await stores.published(topics.TIMEOUT_PROCESSED)
    assert (timeout.data["timeout_hours"], timeout.data["timeout_seconds"]) == (1, 1800)


async def test_many_batches_in_one_call(stores: Stores) -> None:
    room = await make_classroom(stores)
    batches = [await make_batch(stores, 0.9, None, room=room) for _ in range(20)]
    await stores.elapse(A_DAY)
    early = await make_batch(stores, 0.9, room=room)
    asked = [*(batch.id for batch in batches), early.id, new_id()]
    assert (await stores.timers.decide_due(asked)).essays == 40
    published = by_topic(await stores.published())
    assert len(published[topics.ASSOCIATIONS_CONFIRMED]) == 20
    told = {one.key: one.data["event"] for one in published[topics.TIMERS]}
    assert len(published[topics.TIMERS]) == len(told) == 22
    assert told.pop(str(early.id)) == "armed"
    assert set(told.values()) == {"cleared"}
    assert len(published[topics.STUDENT_CREATED]) == 1


async def test_what_is_too_much_for_one_transaction_is_left(stores: Stores) -> None:
    room = await make_classroom(stores, 5)
    confidences = ([0.9] * 2, [0.9] * 3, [None], [0.9] * 4)
    batches = [await make_batch(stores, *these, room=room) for these in confidences]
    ids = [batch.id for batch in batches]
    await stores.elapse(A_DAY)
    decided = await stores.timers.decide_due(ids, 5)
    assert (decided.essays, decided.left) == (5, tuple(ids[2:]))
    published = await stores.published()
    assert {one.key for one in published if one.topic == topics.TIMERS} == set(map(str, ids[:2]))
    assert await stores.timers.overdue(10, 0) == ids[2:]
    decided = await stores.timers.decide_due(decided.left, 5)
    assert (decided.essays, decided.left) == (5, ())
    assert await stores.timers.overdue(10, 0) == []
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 2


async def test_batch_larger_than_the_bound_is_decided_alone_and_whole(stores: Stores) -> None:
    room = await make_classroom(stores, 5)
    large = await make_batch(stores, 0.9, 0.9, 0.9, 0.9, None, room=room)
    small = await make_batch(stores, 0.9, room=room)
    await stores.elapse(A_DAY)
    decided = await stores.timers.decide_due([large.id, small.id], 2)
    assert (decided.essays, decided.left) == (5, (small.id,))
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert confirmed.key == str(large.id)
    assert len(confirmed.data["associations"]) == 5


async def test_large_batch_behind_another_waits_for_its_turn(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    small = await make_batch(stores, 0.9, room=room)
    large = await make_batch(stores, 0.9, 0.9, 0.9, room=room)
    last = await make_batch(stores, 0.9, room=room)
    await stores.elapse(A_DAY)
    decided = await stores.timers.decide_due([small.id, large.id, last.id], 2)
    assert (decided.essays, decided.left) == (1, (large.id, last.id))


async def test_only_what_is_due_counts_for_the_bound(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    first = await make_batch(stores, 0.9, 0.9, room=room)
    await stores.elapse(SOON)
    for _ in range(3):
        await store_one(stores, deliver(room.id, result(), batch_id=first.id))
    early = await make_batch(stores, 0.9, 0.9, 0.9, room=room)
    await stores.elapse(A_DAY - SOON)
    unknown = new_id()
    await stores.published()
    decided = await stores.timers.decide_due([unknown, first.id, early.id], 2)
    assert (decided.essays, decided.left) == (2, ())
    told = {one.key: one.data["event"] for one in await stores.published()}
    assert told == {str(unknown): "cleared", str(first.id): "armed", str(early.id): "armed"}


async def test_workers_that_take_parts_of_the_same_batches_decide_each_once(
    stores: Stores,
) -> None:
    room = await make_classroom(stores, 3)
    batches = [await make_batch(stores, 0.9, 0.8, None, room=room) for _ in range(12)]
    ids = tuple(batch.id for batch in batches)
    await stores.elapse(A_DAY)

    async def work(asked: tuple[UUID, ...]) -> int:
        essays = 0
        while asked:
            decided = await stores.timers.decide_due(asked, 7)
            essays += decided.essays
            asked = decided.left
        return essays

    essays = await asyncio.gather(work(ids), work(ids), work(ids[::-1]))
    # What one of them found locked, another decided: nothing is left and nothing comes twice.
    assert sum(essays) == 36
    assert await stores.timers.overdue(20, 0) == []
    published = by_topic(await stores.published())
    confirmed = [str(one.key) for one in published[topics.ASSOCIATIONS_CONFIRMED]]
    assert sorted(confirmed) == sorted(map(str, ids))
    assert len(published[topics.TIMEOUT_PROCESSED]) == 12
    assert len(published[topics.STUDENT_CREATED]) == 1
    assert len(await unknown_students(stores, room)) == 1


async def test_events_of_a_batch_tell_of_its_essays_in_their_order(stores: Stores) -> None:
    """Also where a teacher decided some of them, and a student decided on was deleted since."""
    room = await make_classroom(stores, 4)
    batch = await make_batch(stores, 0.9, 0.9, 0.9, None, room=room)
    decisions = [HumanDecision(essay, confirmed=True) for essay in batch.essays[:2]]
    await stores.associations.confirm(room.teacher, batch.id, decisions)
    await stores.classes.delete_student(room.teacher, room.students[0])
    await stores.published()
    await stores.elapse(A_DAY)
    assert (await stores.timers.decide_due([batch.id])).essays == 2
    view = await stores.associations.get_batch(room.teacher.user_id, batch.id)
    order = [str(one.association.essay_id) for one in view.associations]
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    told = confirmed.data["associations"]
    assert [one["essay_id"] for one in told] == order
    found = {one["essay_id"]: (one["student_id"], one["validation_method"]) for one in told}
    [unknown] = await unknown_students(stores, room)
    assert [found[str(essay)] for essay in batch.essays] == [
        (None, "human"),
        (str(room.students[1]), "human"),
        (str(room.students[2]), "timeout"),
        (str(unknown), "timeout"),
    ]


async def test_lateness_is_told(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(A_DAY + SOON)
    decided = await stores.timers.decide_due([batch.id])
    assert len(decided.lateness) == 1
    assert decided.lateness[0] >= SOON.total_seconds()


# --- the UNKNOWN student -----------------------------------------------------------------------


async def test_unknown_student_is_made_when_first_needed(stores: Stores) -> None:
    batch = await make_batch(stores, None)
    room = batch.room
    assert await unknown_students(stores, room) == []
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    [unknown] = await unknown_students(stores, room)
    made = await stores.classes.get_student(room.teacher.user_id, unknown)
    assert (made.name.first_name, made.name.last_name) == ("UNKNOWN", "STUDENT")
    assert (made.owner_id, made.class_ids) == (room.teacher.user_id, (room.id,))
    published = by_topic(await stores.published())
    [created] = published[topics.STUDENT_CREATED]
    assert set(created.data) == members.STUDENT_CREATED
    assert (created.key, created.data["class_ids"]) == (str(unknown), [str(room.id)])
    assert created.data["created_by_user_id"] == room.teacher.user_id
    trace = batch.delivery.message.trace
    assert created.envelope["correlation_id"] == str(trace.correlation_id)
    kinds = {one.data["notification_type"] for one in published[topics.NOTIFICATION_REQUESTED]}
    assert "student_added_to_class" in kinds


async def test_unknown_student_is_not_made_where_everybody_is_kept(stores: Stores) -> None:
    batch = await make_batch(stores, 0.7, 1.0)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    assert await unknown_students(stores, batch.room) == []
    assert not await stores.published(topics.STUDENT_CREATED)


async def test_unknown_student_serves_its_class_again(stores: Stores) -> None:
    room = await make_classroom(stores)
    made = []
    for _ in range(2):
        batch = await make_batch(stores, None, room=room)
        await stores.elapse(A_DAY)
        await stores.timers.decide_due([batch.id])
        made += await stores.published(topics.STUDENT_CREATED)
    assert len(made) == 1
    assert [made[0].key] == [str(one) for one in await unknown_students(stores, room)]


async def test_each_class_has_an_unknown_student_of_its_own(stores: Stores) -> None:
    first = await make_classroom(stores)
    rooms = [first, await make_classroom(stores, teacher=first.teacher)]
    batches = [await make_batch(stores, None, room=room) for room in rooms]
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id for batch in batches])
    found = [await unknown_students(stores, room) for room in rooms]
    assert [len(one) for one in found] == [1, 1]
    assert found[0] != found[1]


# --- what the timers are told ------------------------------------------------------------------


async def test_unknown_batch_is_cleared(stores: Stores) -> None:
    batch_id = new_id()
    assert (await stores.timers.decide_due([batch_id])).essays == 0
    await stores.timers.rearm([batch_id])
    said = await stores.published()
    assert [(one.topic, one.key) for one in said] == [(topics.TIMERS, str(batch_id))] * 2
    assert timers(said) == [("cleared", None)] * 2


async def test_no_batches_are_nothing_to_decide(stores: Stores) -> None:
    decided = await stores.timers.decide_due([])
    assert (decided.essays, decided.lateness) == (0, ())
    await stores.timers.rearm([])
    assert await stores.published() == []


async def test_rearming_says_how_things_stand(stores: Stores) -> None:
    pending = await make_batch(stores, 0.9, 0.9)
    closed = await make_batch(stores, 0.9, room=pending.room)
    decision = HumanDecision(closed.essays[0], confirmed=True)
    await stores.associations.confirm(closed.room.teacher, closed.id, [decision])
    await stores.published()
    await stores.elapse(2 * A_DAY)
    await stores.timers.rearm([pending.id, closed.id])
    said = {one.key: one for one in await stores.published()}
    assert said.keys() == {str(pending.id), str(closed.id)}
    armed = said[str(pending.id)].data
    assert set(armed) == members.ARMED
    assert (armed["event"], armed["pending_count"]) == ("armed", 2)
    assert said[str(closed.id)].data == {"event": "cleared", "batch_id": str(closed.id)}
    assert all(a.pending for a in await associations_of(stores, pending))


async def test_overdue_batches_come_longest_first(stores: Stores) -> None:
    batches = []
    for _ in range(3):
        batches.append(await make_batch(stores, 0.9, 0.9))
        await stores.elapse(SOON)
    await stores.elapse(A_DAY - 2 * SOON)
    ids = [batch.id for batch in batches]
    overdue = stores.timers.overdue
    assert await overdue(10, 0) == ids[:2]
    assert await overdue(1, 0) == ids[:1]
    assert await overdue(1, 0, ids[:1]) == ids[1:2]
    assert await overdue(10, 0, set(ids)) == []
    assert await overdue(10, SOON.total_seconds()) == ids[:1]
    assert await overdue(10, 3 * SOON.total_seconds()) == []
    await stores.timers.decide_due(ids[:1])
    assert await overdue(10, 0) == ids[1:2]


async def test_pending_batches_are_read_in_pages(stores: Stores) -> None:
    room = await make_classroom(stores)
    batches = [await make_batch(stores, 0.9, None, room=room) for _ in range(5)]
    decision = HumanDecision(batches[0].essays[0], confirmed=True)
    await stores.associations.confirm(room.teacher, batches[0].id, [decision])
    closed = await make_batch(stores, 0.9, room=room)
    decision = HumanDecision(closed.essays[0], confirmed=True)
    await stores.associations.confirm(room.teacher, closed.id, [decision])
    ids = sorted(batch.id for batch in batches)
    pages, after = [], None
    while page := await stores.timers.pending_batches(after, 2):
        pages.append([one.batch_id for one in page])
        after = page[-1].batch_id
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    found = {one.batch_id: one for one in await stores.timers.pending_batches(None, 10)}
    assert found[batches[0].id].pending_count == 1
    assert found[batches[1].id].pending_count == 2
    assert found[batches[1].id].class_id == room.id
    [state] = await stores.timers.batch_states([batches[1].id])
    assert found[batches[1].id].confirm_by == state.confirm_by


async def test_every_pending_batch_has_a_timer(stores: Stores) -> None:
    """What the timers were told last is what the store says, whatever happened between."""
    room = await make_classroom(stores)
    batches = [await make_batch(stores, 0.9, 0.8, None, room=room) for _ in range(4)]
    for batch in batches:
        await stores.timers.rearm([batch.id])
    decide = stores.associations.confirm
    await decide(room.teacher, batches[0].id, [HumanDecision(batches[0].essays[0], confirmed=True)])
    rejections = [HumanDecision(essay, confirmed=False) for essay in batches[1].essays]
    await decide(room.teacher, batches[1].id, rejections)
    await stores.elapse(SOON)
    await store_one(stores, deliver(room.id, result(), batch_id=batches[2].id))
    other = await make_class(stores, room.teacher, new_class("other"))
    doomed = deliver(other.id, result())
    await store_one(stores, doomed)
    await stores.classes.delete_class(room.teacher, other.id)
    await stores.open_batches.settle(10)
    await stores.elapse(A_DAY - SOON)
    await stores.timers.decide_due([batches[2].id])
    last = {str(one.key): one.data for one in await stores.published(topics.TIMERS)}
    pending = {str(one.batch_id): one for one in await stores.timers.pending_batches(None, 100)}
    armed = {key: data for key, data in last.items() if data["event"] == "armed"}
    assert armed.keys() == pending.keys() == {str(batches[i].id) for i in (0, 2, 3)}
    for key, data in armed.items():
        assert data["pending_count"] == pending[key].pending_count


@pytest.mark.parametrize("order", [1, -1])
async def test_due_essay_of_a_batch_is_decided_and_the_other_waits(
    stores: Stores, order: int
) -> None:
    room = await make_classroom(stores)
    essays = sorted([new_id(), new_id()])[::order]
    batch_id = new_id()
    for essay_id in essays:
        await store_one(
            stores,
            deliver(
                room.id, result(suggest(room.students[0]), essay_id=essay_id), batch_id=batch_id
            ),
        )
        await stores.elapse(SOON)
    await stores.elapse(A_DAY - 2 * SOON)
    assert (await stores.timers.decide_due([batch_id])).essays == 1
    found = await stores.queries.essay_student(essays[0])
    assert found.student_id == room.students[0]
    [state] = await stores.timers.batch_states([batch_id])
    assert (state.pending_count, state.closed_at) == (1, None)
