"""How suggestions are taken in: what every store promises."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from rules import topics
from rules.dead_letters.messages import DeadLetter, Reason
from rules.errors import BatchNotFoundError, ValidationFailedError
from rules.ids import new_id
from rules.models import (
    SYSTEM_AUTO,
    HumanDecision,
    Method,
    Policy,
    Record,
    Status,
    StudentChange,
    SuggestionMessage,
)
from rules.suggestions import MAX_ESSAYS, Outcome
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    MakeStores,
    Published,
    StoredBatch,
    Stores,
    anew,
    by_topic,
    caller,
    deliver,
    make_batch,
    make_class,
    make_classroom,
    make_student,
    new_class,
    new_student,
    parse,
    result,
    store_one,
    suggest,
    timers,
)
from tests.unit.rules import members

DEAD_LETTERS = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)
RETRY = timedelta(seconds=60)


def reasons(published: list[Published]) -> list[str]:
    """Return why messages were dead-lettered, in order."""
    return [
        dict(one.message.headers)["dlt-reason"].decode()
        for one in published
        if one.topic == DEAD_LETTERS
    ]


# --- what is stored ----------------------------------------------------------------------------


async def test_essay_gets_the_first_suggested_student_of_the_class(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    outsider = (await make_classroom(stores, 1)).students[0]
    delivery = deliver(
        room.id,
        result(
            suggest(outsider, 0.99),
            suggest(room.students[1], 0.8, ["name_fuzzy", "email_exact"]),
            suggest(room.students[0], 0.7),
        ),
    )
    assert await store_one(stores, delivery) is Outcome.STORED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    assert (view.batch_id, view.class_id) == (delivery.message.batch_id, room.id)
    [shown] = view.associations
    stored = shown.association
    assert stored.essay_id == delivery.message.results[0].essay_id
    assert stored.suggested_student_id == room.students[1]
    assert (stored.confidence, stored.match_reasons) == (0.8, ("name_fuzzy", "email_exact"))
    assert (stored.status, stored.method, stored.student_id) == (Status.PENDING, None, None)
    assert (stored.validated_by, stored.validated_at) == (None, None)
    assert shown.student_name == "First1 Last1"


@pytest.mark.parametrize("suggested", ["nobody", "outsiders"])
async def test_essay_without_a_usable_suggestion_is_kept_unmatched(
    stores: Stores, suggested: str
) -> None:
    room = await make_classroom(stores)
    outsiders = (await make_classroom(stores, 2)).students if suggested == "outsiders" else []
    delivery = deliver(room.id, result(*(suggest(student) for student in outsiders)))
    assert await store_one(stores, delivery) is Outcome.STORED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    [shown] = view.associations
    assert (shown.association.suggested_student_id, shown.student_name) == (None, None)
    assert (shown.association.confidence, shown.association.match_reasons) == (0.0, ())
    assert shown.association.pending


async def test_teacher_has_the_timeout_to_confirm(make_stores: MakeStores) -> None:
    stores = await make_stores(Policy(timeout=timedelta(hours=1.5)))
    batch = await make_batch(stores, 0.9, None)
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    for shown in view.associations:
        due = shown.association.confirm_by - shown.association.created_at
        assert due == timedelta(hours=1.5)
        assert shown.association.confirm_by == view.confirm_by


async def test_storing_asks_the_teacher_and_arms_the_timer(stores: Stores) -> None:
    room = await make_classroom(stores)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    results = [result(suggest(room.students[0])), result(), result(suggest(room.students[1]))]
    delivery = deliver(room.id, *results, traceparent=trace)
    assert await store_one(stores, delivery) is Outcome.STORED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    assert view.confirm_by is not None
    published = by_topic(await stores.published())
    assert published.keys() == {topics.NOTIFICATION_REQUESTED, topics.TIMERS}
    [asked] = published[topics.NOTIFICATION_REQUESTED]
    assert asked.key == room.teacher.user_id
    assert set(asked.data) == members.NOTIFICATION
    assert asked.data["notification_type"] == "student_matches_suggested"
    assert (asked.data["category"], asked.data["priority"]) == ("student_workflow", "high")
    assert asked.data["action_required"] is True
    assert asked.data["correlation_id"] == str(delivery.message.trace.correlation_id)
    assert set(asked.data["payload"]) == members.PAYLOADS["student_matches_suggested"]
    assert asked.data["payload"]["suggested_count"] == 2
    assert asked.data["payload"]["unmatched_count"] == 1
    assert asked.headers["traceparent"] == trace
    [armed] = published[topics.TIMERS]
    assert armed.key == str(view.batch_id)
    assert set(armed.data) == members.ARMED
    assert armed.data["event"] == "armed"
    assert armed.data["class_id"] == str(room.id)
    assert armed.data["pending_count"] == 3
    assert armed.data["confirm_by"] == asked.data["deadline_timestamp"]
    assert armed.data["confirm_by"].startswith(f"{view.confirm_by:%Y-%m-%dT%H:%M:%S}")


async def test_nothing_personal_is_said_to_the_timers(stores: Stores) -> None:
    teacher = caller("teacher@school.example")
    cls = await make_class(stores, teacher, new_class("Klass Hemlig"))
    new = new_student("Åsa", "Öberg", "asa@skola.example", [cls.id])
    await make_student(stores, teacher, new)
    delivery = deliver(cls.id, result(suggest(new.id)))
    await store_one(stores, delivery)
    essay_id = delivery.message.results[0].essay_id
    decision = HumanDecision(essay_id, confirmed=True)
    await stores.associations.confirm(teacher, delivery.message.batch_id, [decision])
    said = await stores.published(topics.TIMERS)
    assert [set(one.data) for one in said] == [members.ARMED, members.CLEARED]
    for one in said:
        told = str(one.message.value) + str(one.message.headers)
        for secret in ("Åsa", "Öberg", "asa", "Hemlig", "teacher@school.example", str(new.id)):
            assert secret not in told
            assert secret.encode("unicode_escape").decode() not in told


async def test_message_for_a_class_of_three_hundred(stores: Stores) -> None:
    room = await make_classroom(stores, 300)
    delivery = deliver(room.id, *(result(suggest(student)) for student in room.students))
    assert await store_one(stores, delivery) is Outcome.STORED
    batch_id = delivery.message.batch_id
    assert timers(await stores.published()) == [("armed", 300)]
    decisions = [HumanDecision(r.essay_id, confirmed=True) for r in delivery.message.results]
    totals = await stores.associations.confirm(room.teacher, batch_id, decisions)
    assert (totals.confirmed, totals.pending) == (300, 0)
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    decided = {(a["essay_id"], a["student_id"]) for a in confirmed.data["associations"]}
    wanted = zip(delivery.message.results, room.students, strict=True)
    assert decided == {(str(found.essay_id), str(student)) for found, student in wanted}


# --- again means nothing -----------------------------------------------------------------------


async def test_one_event_three_times_has_one_effect(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id, result(suggest(room.students[0])))
    outcomes = (await stores.inbox.store_suggestions([delivery, anew(delivery)])).outcomes
    assert outcomes == [Outcome.STORED, Outcome.DUPLICATE]
    published = by_topic(await stores.published())
    assert {topic: len(some) for topic, some in published.items()} == {
        topics.NOTIFICATION_REQUESTED: 1,
        topics.TIMERS: 1,
    }
    assert await store_one(stores, delivery) is Outcome.DUPLICATE
    assert await stores.published() == []
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    assert len(view.associations) == 1


async def test_event_that_comes_again_after_a_decision_changes_nothing(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    decision = HumanDecision(batch.essays[0], confirmed=False)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    before = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    await stores.published()
    assert await store_one(stores, batch.delivery) is Outcome.DUPLICATE
    after = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    assert (after, await stores.published()) == (before, [])


async def test_essay_keeps_its_first_association(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    again = result(suggest(batch.room.students[1], 1.0), essay_id=batch.essays[0])
    assert await store_one(stores, deliver(batch.room.id, again, batch_id=batch.id)) is (
        Outcome.NOTHING_NEW
    )
    assert await stores.published() == []
    elsewhere = deliver(batch.room.id, again)
    assert await store_one(stores, elsewhere) is Outcome.CLOSED
    owner = batch.room.teacher.user_id
    view = await stores.associations.get_batch(owner, batch.id)
    [shown] = view.associations
    assert shown.association.suggested_student_id == batch.room.students[0]
    other = await stores.associations.get_batch(owner, elsewhere.message.batch_id)
    assert (other.associations, other.confirm_by) == ((), None)


async def test_essay_twice_in_a_message_gets_one_association(stores: Stores) -> None:
    room = await make_classroom(stores)
    essay_id = new_id()
    results = [result(suggest(s), essay_id=essay_id) for s in room.students]
    delivery = deliver(room.id, *results)
    assert await store_one(stores, delivery) is Outcome.STORED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    suggested = [a.association.suggested_student_id for a in view.associations]
    assert suggested == [room.students[0]]
    assert timers(await stores.published()) == [("armed", 1)]


async def test_no_messages_are_no_work(stores: Stores) -> None:
    assert (await stores.inbox.store_suggestions([])).outcomes == []
    assert (await stores.inbox.retry_parked(parse, 100)).outcomes == []
    assert await stores.inbox.dead_letter([]) == 0


async def test_one_event_at_two_workers_at_the_same_moment_is_stored_once(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id, result(suggest(room.students[0])), result())
    copies = [delivery, anew(delivery), delivery]
    outcomes = await asyncio.gather(*(store_one(stores, copy) for copy in copies))
    assert sorted(outcomes) == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.STORED]
    assert timers(await stores.published()) == [("armed", 2)]


async def test_messages_of_one_batch_at_two_workers_at_the_same_moment(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch_id, essay_id = new_id(), new_id()
    deliveries = [
        deliver(room.id, result(suggest(student), essay_id=essay_id), result(), batch_id=batch_id)
        for student in room.students
    ]
    outcomes = await asyncio.gather(*(store_one(stores, one) for one in deliveries))
    assert outcomes == [Outcome.STORED] * 3
    view = await stores.associations.get_batch(room.teacher.user_id, batch_id)
    assert len(view.associations) == 4
    assert timers(await stores.published())[-1] == ("armed", 4)


async def test_class_is_deleted_while_suggestions_come(stores: Stores) -> None:
    for _ in range(3):
        room = await make_classroom(stores)
        delivery = deliver(room.id, result(suggest(room.students[0])))
        _, outcome = await asyncio.gather(
            stores.classes.delete_class(room.teacher, room.id), store_one(stores, delivery)
        )
        stored = outcome is Outcome.STORED
        assert stored or outcome is Outcome.DEAD_LETTERED
        assert await stores.timers.pending_batches(None, 10) == []
        assert [one.rejected for one in await stores.open_batches.settle(10)] == [1] * stored
        published = await stores.published()
        assert timers(published)[-1:] == [("cleared", None)] * stored
        assert reasons(published) == ["class_deleted"] * (not stored)


async def test_student_is_deleted_while_it_is_suggested(stores: Stores) -> None:
    for _ in range(3):
        room = await make_classroom(stores)
        delivery = deliver(room.id, result(suggest(room.students[0])))
        _, outcome = await asyncio.gather(
            stores.classes.delete_student(room.teacher, room.students[0]),
            store_one(stores, delivery),
        )
        if outcome is Outcome.STORED:
            batch_id = delivery.message.batch_id
            view = await stores.associations.get_batch(room.teacher.user_id, batch_id)
            [shown] = view.associations
            assert shown.association.suggested_student_id is None
            assert (shown.association.confidence, shown.association.match_reasons) == (0.0, ())
        else:
            assert outcome is Outcome.PARKED


# --- batches that grow -------------------------------------------------------------------------


async def test_further_essays_join_an_open_batch_with_a_deadline_of_their_own(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(SOON)
    further = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, further) is Outcome.STORED
    owner = batch.room.teacher.user_id
    view = await stores.associations.get_batch(owner, batch.id)
    first, second = [shown.association for shown in view.associations]
    assert (first.essay_id, second.essay_id) == (
        batch.essays[0],
        further.message.results[0].essay_id,
    )
    assert second.confirm_by - first.confirm_by >= SOON
    assert view.confirm_by == first.confirm_by
    assert timers(await stores.published()) == [("armed", 2)]
    decision = HumanDecision(first.essay_id, confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    view = await stores.associations.get_batch(owner, batch.id)
    assert view.confirm_by == second.confirm_by


async def test_messages_of_one_list_build_one_batch(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch_id = new_id()
    deliveries = [deliver(room.id, result(suggest(s)), batch_id=batch_id) for s in room.students]
    outcomes = (await stores.inbox.store_suggestions(deliveries)).outcomes
    assert outcomes == [Outcome.STORED] * 3
    published = by_topic(await stores.published())
    assert timers(published[topics.TIMERS]) == [("armed", 3)]
    assert len(published[topics.NOTIFICATION_REQUESTED]) == 3


async def test_outcomes_stand_in_the_order_of_the_messages(stores: Stores) -> None:
    room = await make_classroom(stores)
    closed = await make_batch(stores, 0.9)
    decision = HumanDecision(closed.essays[0], confirmed=True)
    await stores.associations.confirm(closed.room.teacher, closed.id, [decision])
    fine = deliver(room.id, result(suggest(room.students[0])))
    deliveries = [
        deliver(closed.room.id, result(), batch_id=closed.id),
        fine,
        deliver(new_id(), result()),
        fine,
        deliver(room.id, result()),
    ]
    assert (await stores.inbox.store_suggestions(deliveries)).outcomes == [
        Outcome.DEAD_LETTERED,
        Outcome.STORED,
        Outcome.PARKED,
        Outcome.DUPLICATE,
        Outcome.STORED,
    ]


# --- auto-confirmation -------------------------------------------------------------------------


async def test_suggestion_at_the_auto_threshold_is_confirmed_at_once(
    make_stores: MakeStores,
) -> None:
    stores = await make_stores(Policy(auto_confirm=0.95))
    batch = await make_batch(stores, 0.95, 0.949, None, 1.0)
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a.association for a in view.associations}
    found = [shown[essay_id] for essay_id in batch.essays]
    assert [a.status for a in found] == [
        Status.CONFIRMED,
        Status.PENDING,
        Status.PENDING,
        Status.CONFIRMED,
    ]
    assert [a.method for a in found] == [Method.AUTO, None, None, Method.AUTO]
    assert found[0].student_id == found[0].suggested_student_id == batch.room.students[0]
    assert found[0].validated_by == SYSTEM_AUTO
    assert found[0].validated_at == found[0].created_at
    [state] = await stores.timers.batch_states([batch.id])
    assert (state.pending_count, state.closed_at) == (2, None)


async def test_batch_that_is_confirmed_automatically_closes_as_it_comes(
    make_stores: MakeStores,
) -> None:
    stores = await make_stores(Policy(auto_confirm=0.95))
    room = await make_classroom(stores)
    results = [result(suggest(student, 0.97)) for student in room.students]
    delivery = deliver(room.id, *results)
    assert await store_one(stores, delivery) is Outcome.STORED
    published = await stores.published()
    assert timers(published) == [("cleared", None)]
    [confirmed] = by_topic(published)[topics.ASSOCIATIONS_CONFIRMED]
    assert {a["validation_method"] for a in confirmed.data["associations"]} == {"auto"}
    assert confirmed.data["validation_summary"] == {
        "total_associations": 3,
        "confirmed": 3,
        "rejected": 0,
        "human": 0,
        "timeout": 0,
        "auto": 3,
    }
    assert confirmed.data["timeout_triggered"] is False
    late = deliver(room.id, result(), batch_id=delivery.message.batch_id)
    assert await store_one(stores, late) is Outcome.DEAD_LETTERED
    assert reasons(await stores.published()) == ["batch_closed"]


async def test_nothing_is_confirmed_automatically_by_default(stores: Stores) -> None:
    batch = await make_batch(stores, 1.0)
    [state] = await stores.timers.batch_states([batch.id])
    assert state.pending_count == 1


# --- dead letters ------------------------------------------------------------------------------


async def test_suggestions_for_a_closed_batch_are_dead_lettered(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    await stores.published()
    late = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, late) is Outcome.DEAD_LETTERED
    [letter] = await stores.published()
    assert letter.topic == DEAD_LETTERS
    assert (letter.message.key, letter.message.value) == (late.record.key, late.record.value)
    kept, added = letter.message.headers[:2], dict(letter.message.headers[2:])
    assert kept == late.record.headers
    assert tuple(added) == members.DEAD_LETTER_HEADERS
    assert added["dlt-reason"] == b"batch_closed"
    assert added["dlt-topic"].decode() == topics.MATCHES_SUGGESTED
    assert added["dlt-partition"] == b"0"
    assert added["dlt-offset"] == str(late.record.offset).encode()


async def test_suggestions_that_move_a_batch_to_another_class_are_dead_lettered(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9)
    other = await make_classroom(stores)
    wrong = deliver(other.id, result(suggest(other.students[0])), batch_id=batch.id)
    assert await store_one(stores, wrong) is Outcome.DEAD_LETTERED
    published = await stores.published()
    assert reasons(published) == ["batch_of_another_class"]
    assert len(published) == 1
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    assert [a.association.essay_id for a in view.associations] == batch.essays


async def test_batch_of_a_deleted_class_takes_nothing_more(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    await make_class(stores, batch.room.teacher, new_class("anew", class_id=batch.room.id))
    await stores.published()
    late = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, late) is Outcome.DEAD_LETTERED
    assert reasons(await stores.published()) == ["class_deleted"]


async def filled(stores: Stores, size: int) -> StoredBatch:
    """Store a batch of so many essays."""
    room = await make_classroom(stores)
    delivery = deliver(room.id, *(result() for _ in range(size)))
    assert await store_one(stores, delivery) is Outcome.STORED
    await stores.published()
    return StoredBatch(room, delivery)


async def size_of(stores: Stores, batch: StoredBatch) -> int:
    [state] = await stores.timers.batch_states([batch.id])
    return state.pending_count


async def test_essays_beyond_what_a_batch_takes_are_dead_lettered(stores: Stores) -> None:
    batch = await filled(stores, MAX_ESSAYS - 1)
    two = deliver(batch.room.id, result(), result(), batch_id=batch.id)
    assert await store_one(stores, two) is Outcome.DEAD_LETTERED
    assert reasons(await stores.published()) == ["batch_too_large"]
    one = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, one) is Outcome.STORED
    assert await size_of(stores, batch) == MAX_ESSAYS
    assert await store_one(stores, anew(two)) is Outcome.DEAD_LETTERED
    # What is there already is no addition.
    known = deliver(batch.room.id, *batch.delivery.message.results, batch_id=batch.id)
    assert await store_one(stores, known) is Outcome.NOTHING_NEW
    assert await size_of(stores, batch) == MAX_ESSAYS


async def test_batch_of_the_former_limit_is_refused_whole(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id, *(result() for _ in range(10_000)))
    assert await store_one(stores, delivery) is Outcome.DEAD_LETTERED
    assert reasons(await stores.published()) == ["batch_too_large"]
    assert await stores.timers.batch_states([delivery.message.batch_id]) == []


async def test_messages_of_one_batch_at_the_same_moment_do_not_overfill_it(
    stores: Stores,
) -> None:
    batch = await filled(stores, MAX_ESSAYS - 2)
    late = [deliver(batch.room.id, result(), batch_id=batch.id) for _ in range(4)]
    outcomes = await asyncio.gather(*(store_one(stores, delivery) for delivery in late))
    assert sorted(outcomes) == [Outcome.DEAD_LETTERED] * 2 + [Outcome.STORED] * 2
    assert await size_of(stores, batch) == MAX_ESSAYS


async def test_messages_that_begin_a_batch_at_the_same_moment_do_not_overfill_it(
    stores: Stores,
) -> None:
    room = await make_classroom(stores)
    first = deliver(room.id, *(result() for _ in range(MAX_ESSAYS)))
    second = deliver(room.id, result(), batch_id=first.message.batch_id)
    outcomes = await asyncio.gather(*(store_one(stores, d) for d in (first, second)))
    assert sorted(outcomes) == [Outcome.DEAD_LETTERED, Outcome.STORED]


async def test_parked_message_too_large_for_its_batch_is_dead_lettered_when_its_class_is_there(
    stores: Stores,
) -> None:
    new = new_class()
    delivery = deliver(new.id, *(result() for _ in range(MAX_ESSAYS + 1)))
    assert await store_one(stores, delivery) is Outcome.PARKED
    await make_class(stores, caller(), new)
    await stores.published()
    await stores.elapse(RETRY / 2)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.DEAD_LETTERED]
    assert reasons(await stores.published()) == ["batch_too_large"]


async def test_dead_lettered_record_comes_again_without_effect(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    other = await make_classroom(stores)
    wrong = deliver(other.id, result(), batch_id=batch.id)
    assert await store_one(stores, wrong) is Outcome.DEAD_LETTERED
    await stores.published()
    for _ in range(2):
        assert await store_one(stores, wrong) is Outcome.DUPLICATE
    assert await stores.published() == []


async def test_dead_letter_that_is_replayed_is_tried_anew(stores: Stores) -> None:
    class_id = new_id()
    early = deliver(class_id, result())
    assert await store_one(stores, early) is Outcome.PARKED
    await stores.elapse(RETRY)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.DEAD_LETTERED]
    teacher = caller()
    await make_class(stores, teacher, new_class(class_id=class_id))
    await stores.published()
    assert await store_one(stores, early) is Outcome.DUPLICATE
    replayed = anew(early)
    assert await store_one(stores, replayed) is Outcome.STORED
    assert await store_one(stores, anew(replayed)) is Outcome.DUPLICATE
    assert timers(await stores.published()) == [("armed", 1)]


async def test_dead_letter_and_its_replay_in_one_list(stores: Stores) -> None:
    class_id = new_id()
    early = deliver(class_id, result())
    await store_one(stores, early)
    await stores.elapse(RETRY)
    await stores.inbox.retry_parked(parse, 10)
    await make_class(stores, caller(), new_class(class_id=class_id))
    outcomes = (await stores.inbox.store_suggestions([early, anew(early)])).outcomes
    assert outcomes == [Outcome.DUPLICATE, Outcome.STORED]


async def test_records_are_dead_lettered_once(stores: Stores) -> None:
    records = [deliver(new_id(), result()).record for _ in range(3)]
    letters = [DeadLetter(record, Reason.UNREADABLE, "no JSON") for record in records]
    assert await stores.inbox.dead_letter(letters[:2]) == 2
    assert await stores.inbox.dead_letter(letters) == 1
    assert await stores.inbox.dead_letter(letters) == 0
    published = await stores.published()
    told = Counter(one.message.value for one in published)
    assert told == Counter(record.value for record in records)
    assert reasons(published) == ["unreadable"] * 3
    assert dict(published[0].message.headers)["dlt-exception"] == b"no JSON"


async def test_one_record_twice_in_a_list_is_dead_lettered_once(stores: Stores) -> None:
    letter = DeadLetter(deliver(new_id()).record, Reason.INVALID, "")
    assert await stores.inbox.dead_letter([letter, letter]) == 1
    assert len(await stores.published()) == 1


# --- waiting for what is not there yet ---------------------------------------------------------


async def test_message_waits_for_its_class(stores: Stores) -> None:
    teacher, class_id = caller(), new_id()
    early = deliver(class_id, result())
    assert await store_one(stores, early) is Outcome.PARKED
    assert await store_one(stores, anew(early)) is Outcome.DUPLICATE
    assert await stores.published() == []
    assert (await stores.maintenance.backlog()).parked_messages == 1
    with pytest.raises(BatchNotFoundError):
        await stores.associations.get_batch(teacher.user_id, early.message.batch_id)
    await make_class(stores, teacher, new_class(class_id=class_id))
    await stores.published()
    await stores.elapse(timedelta(seconds=10))
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.STORED]
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == []
    view = await stores.associations.get_batch(teacher.user_id, early.message.batch_id)
    assert [a.association.essay_id for a in view.associations] == [
        early.message.results[0].essay_id
    ]
    assert timers(await stores.published()) == [("armed", 1)]
    assert (await stores.maintenance.backlog()).parked_messages == 0
    assert await store_one(stores, early) is Outcome.DUPLICATE


async def test_message_waits_for_a_student(stores: Stores) -> None:
    room = await make_classroom(stores)
    expected = new_id()
    early = deliver(room.id, result(suggest(expected, 0.9), suggest(room.students[0], 0.8)))
    assert await store_one(stores, early) is Outcome.PARKED
    new = new_student(class_ids=[room.id], student_id=expected)
    await make_student(stores, room.teacher, new)
    await stores.elapse(timedelta(seconds=10))
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.STORED]
    view = await stores.associations.get_batch(room.teacher.user_id, early.message.batch_id)
    assert [a.association.suggested_student_id for a in view.associations] == [expected]


async def test_student_of_another_class_is_not_waited_for(stores: Stores) -> None:
    room, other = await make_classroom(stores), await make_classroom(stores)
    delivery = deliver(room.id, result(suggest(other.students[0])))
    assert await store_one(stores, delivery) is Outcome.STORED


async def test_missing_student_behind_a_usable_one_is_not_waited_for(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id, result(suggest(room.students[0]), suggest(new_id())))
    assert await store_one(stores, delivery) is Outcome.STORED


async def test_parked_message_is_tried_again_and_again(stores: Stores) -> None:
    early = deliver(new_id(), result())
    assert await store_one(stores, early) is Outcome.PARKED
    for _ in range(3):
        await stores.elapse(timedelta(seconds=10))
        assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.PARKED]
    assert await stores.published() == []


async def test_message_whose_class_never_comes_is_dead_lettered(stores: Stores) -> None:
    early = deliver(new_id(), result())
    await store_one(stores, early)
    await stores.elapse(RETRY)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.DEAD_LETTERED]
    [letter] = await stores.published()
    assert reasons([letter]) == ["class_not_found"]
    assert (letter.message.key, letter.message.value) == (early.record.key, early.record.value)
    assert letter.message.headers[:2] == early.record.headers
    assert dict(letter.message.headers)["dlt-offset"] == str(early.record.offset).encode()
    assert (await stores.maintenance.backlog()).parked_messages == 0
    assert await store_one(stores, early) is Outcome.DUPLICATE
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == []


async def test_message_whose_student_never_comes_is_stored_without(stores: Stores) -> None:
    room = await make_classroom(stores)
    early = deliver(
        room.id,
        result(suggest(new_id())),
        result(suggest(new_id(), 0.9), suggest(room.students[0], 0.8)),
    )
    assert await store_one(stores, early) is Outcome.PARKED
    await stores.elapse(RETRY)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.STORED]
    view = await stores.associations.get_batch(room.teacher.user_id, early.message.batch_id)
    shown = {a.association.essay_id: a.association for a in view.associations}
    found = [shown[r.essay_id] for r in early.message.results]
    assert [(a.suggested_student_id, a.confidence) for a in found] == [
        (None, 0.0),
        (room.students[0], 0.8),
    ]
    published = await stores.published()
    assert (timers(published), reasons(published)) == ([("armed", 2)], [])


async def test_batch_keeps_the_order_of_its_messages_while_it_waits(stores: Stores) -> None:
    room = await make_classroom(stores)
    essay_id, batch_id, expected = new_id(), new_id(), new_id()
    first = deliver(room.id, result(suggest(expected), essay_id=essay_id), batch_id=batch_id)
    second = deliver(
        room.id, result(suggest(room.students[0]), essay_id=essay_id), batch_id=batch_id
    )
    elsewhere = deliver(room.id, result(suggest(room.students[1])))
    outcomes = (await stores.inbox.store_suggestions([first, second, elsewhere])).outcomes
    assert outcomes == [Outcome.PARKED, Outcome.PARKED, Outcome.STORED]
    third = deliver(room.id, result(), batch_id=batch_id)
    assert await store_one(stores, third) is Outcome.PARKED
    new = new_student(class_ids=[room.id], student_id=expected)
    await make_student(stores, room.teacher, new)
    await stores.elapse(timedelta(seconds=10))
    retried = (await stores.inbox.retry_parked(parse, 10)).outcomes
    assert retried == [Outcome.STORED, Outcome.NOTHING_NEW, Outcome.STORED]
    view = await stores.associations.get_batch(room.teacher.user_id, batch_id)
    shown = {a.association.essay_id: a.association for a in view.associations}
    assert shown[essay_id].suggested_student_id == expected
    assert len(shown) == 2


async def test_message_that_expires_before_its_follower_lets_it_wait_on(stores: Stores) -> None:
    class_id, batch_id = new_id(), new_id()
    first, second = [deliver(class_id, result(), batch_id=batch_id) for _ in range(2)]
    await store_one(stores, first)
    await stores.elapse(RETRY / 2)
    assert await store_one(stores, second) is Outcome.PARKED
    await stores.elapse(RETRY / 2)
    retried = (await stores.inbox.retry_parked(parse, 10)).outcomes
    assert retried == [Outcome.DEAD_LETTERED, Outcome.PARKED]
    await make_class(stores, caller(), new_class(class_id=class_id))
    await stores.elapse(RETRY / 2)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.STORED]


async def test_retry_takes_whole_batches_up_to_the_limit_oldest_first(stores: Stores) -> None:
    classes = [new_id() for _ in range(3)]
    for class_id in classes:
        batch_id = new_id()
        for _ in range(2):
            await store_one(stores, deliver(class_id, result(), batch_id=batch_id))
    for class_id in classes:
        await make_class(stores, caller(), new_class(class_id=class_id))
    await stores.published()
    await stores.elapse(timedelta(seconds=10))
    assert (await stores.inbox.retry_parked(parse, 2)).outcomes == [Outcome.STORED] * 4
    told = await stores.published(topics.TIMERS)
    assert {one.data["class_id"] for one in told} == {str(c) for c in classes[:2]}
    assert (await stores.inbox.retry_parked(parse, 2)).outcomes == [Outcome.STORED] * 2


async def test_waiting_can_be_switched_off(make_stores: MakeStores) -> None:
    stores = await make_stores(Policy(suggestion_retry=timedelta(0)))
    room = await make_classroom(stores)
    no_class = deliver(new_id(), result())
    no_student = deliver(room.id, result(suggest(new_id())))
    outcomes = (await stores.inbox.store_suggestions([no_class, no_student])).outcomes
    assert outcomes == [Outcome.DEAD_LETTERED, Outcome.STORED]
    published = await stores.published()
    assert (reasons(published), timers(published)) == (["class_not_found"], [("armed", 1)])
    assert await store_one(stores, no_class) is Outcome.DUPLICATE


async def test_parked_message_that_is_unreadable_by_now_is_dead_lettered(stores: Stores) -> None:
    class_id, batch_id = new_id(), new_id()
    broken, fine = [deliver(class_id, result(), batch_id=batch_id) for _ in range(2)]
    await stores.inbox.store_suggestions([broken, fine])
    await make_class(stores, caller(), new_class(class_id=class_id))
    await stores.published()
    await stores.elapse(timedelta(seconds=10))

    def stricter(record: Record) -> SuggestionMessage:
        message = parse(record)
        if message.event_id == broken.message.event_id:
            raise ValidationFailedError("The message lacks something.")
        return message

    retried = (await stores.inbox.retry_parked(stricter, 10)).outcomes
    assert sorted(retried) == [Outcome.DEAD_LETTERED, Outcome.STORED]
    published = await stores.published()
    assert (reasons(published), timers(published)) == (["invalid_message"], [("armed", 1)])
    assert (await stores.maintenance.backlog()).parked_messages == 0
    assert await store_one(stores, broken) is Outcome.DUPLICATE
    assert await store_one(stores, anew(broken)) is Outcome.STORED


async def test_student_who_left_the_class_is_no_match(stores: Stores) -> None:
    room = await make_classroom(stores)
    leave = StudentChange(remove_class_ids=(room.id,))
    await stores.classes.update_student(room.teacher, room.students[0], leave)
    delivery = deliver(room.id, result(suggest(room.students[0])))
    assert await store_one(stores, delivery) is Outcome.STORED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    assert [a.association.suggested_student_id for a in view.associations] == [None]


async def test_inbox_forgets_after_a_while(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(13 * A_DAY)
    fresh = await make_batch(stores, 0.9)
    assert await stores.maintenance.purge_inbox(14) == 0
    await stores.elapse(2 * A_DAY)
    assert await stores.maintenance.purge_inbox(14) == 1
    assert await store_one(stores, fresh.delivery) is Outcome.DUPLICATE
    assert await store_one(stores, batch.delivery) is Outcome.NOTHING_NEW
    assert await stores.published() == []
