"""What teachers decide and other services read: what every store promises."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rules import topics
from rules.errors import (
    BatchConflictError,
    BatchNotFoundError,
    EssayNotFoundError,
    ValidationFailedError,
)
from rules.ids import new_id
from rules.models import (
    BatchTotals,
    HumanDecision,
    Method,
    Status,
    StudentChange,
)
from rules.suggestions import Outcome
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    Classroom,
    StoredBatch,
    Stores,
    by_topic,
    caller,
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
    timers,
)
from tests.unit.rules import members


async def confirm(stores: Stores, batch: StoredBatch, *decisions: HumanDecision) -> BatchTotals:
    """Decide as the batch's teacher."""
    return await stores.associations.confirm(batch.room.teacher, batch.id, decisions)


async def confirm_all(stores: Stores, batch: StoredBatch) -> BatchTotals:
    """Decide every essay for the student of its place."""
    pairs = zip(batch.essays, batch.room.students, strict=False)
    return await confirm(stores, batch, *(HumanDecision(e, True, s) for e, s in pairs))  # noqa: FBT003


def yes(batch: StoredBatch, index: int) -> HumanDecision:
    return HumanDecision(batch.essays[index], confirmed=True)


def no(batch: StoredBatch, index: int) -> HumanDecision:
    return HumanDecision(batch.essays[index], confirmed=False)


# --- deciding ----------------------------------------------------------------------------------


async def test_teacher_confirms_a_suggestion(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    assert await confirm(stores, batch, yes(batch, 0)) == BatchTotals(1, 0, 1)
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a.association for a in view.associations}
    decided, pending = (shown[essay_id] for essay_id in batch.essays)
    assert (decided.status, decided.method) == (Status.CONFIRMED, Method.HUMAN)
    assert decided.student_id == decided.suggested_student_id == batch.room.students[0]
    assert decided.validated_by == batch.room.teacher.user_id
    assert decided.validated_at is not None
    assert decided.validated_at >= decided.created_at
    assert pending.pending
    assert timers(await stores.published()) == [("armed", 1)]


async def test_teacher_names_another_student_of_the_class(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, None, 0.8)
    other = batch.room.students[2]
    totals = await confirm(
        stores,
        batch,
        HumanDecision(batch.essays[0], confirmed=True, student_id=other),
        HumanDecision(batch.essays[1], confirmed=True, student_id=other),
    )
    assert totals == BatchTotals(2, 0, 1)
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a for a in view.associations}
    assert {shown[e].association.student_id for e in batch.essays[:2]} == {other}
    assert {shown[e].student_name for e in batch.essays[:2]} == {"First2 Last2"}
    assert shown[batch.essays[0]].association.suggested_student_id == batch.room.students[0]
    assert shown[batch.essays[0]].association.confidence == 0.9


async def test_teacher_rejects_with_and_without_another_student(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8, 0.7)
    other = batch.room.students[2]
    replaced = HumanDecision(batch.essays[1], confirmed=False, student_id=other)
    assert await confirm(stores, batch, no(batch, 0), replaced) == BatchTotals(0, 2, 1)
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a.association for a in view.associations}
    found = [shown[essay_id] for essay_id in batch.essays[:2]]
    assert [a.status for a in found] == [Status.REJECTED] * 2
    assert [a.student_id for a in found] == [None, other]


async def test_last_decision_closes_the_batch_with_one_event(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8, None)
    await confirm(stores, batch, yes(batch, 0))
    assert not await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert await confirm(stores, batch, no(batch, 1), no(batch, 2)) == BatchTotals(1, 2, 0)
    [state] = await stores.timers.batch_states([batch.id])
    assert (state.pending_count, state.confirm_by) == (0, None)
    assert state.closed_at is not None
    published = by_topic(await stores.published())
    assert published.keys() == {
        topics.ASSOCIATIONS_CONFIRMED,
        topics.NOTIFICATION_REQUESTED,
        topics.TIMERS,
    }
    [confirmed] = published[topics.ASSOCIATIONS_CONFIRMED]
    assert confirmed.key == str(batch.id)
    assert set(confirmed.envelope) == members.ENVELOPE
    data = confirmed.data
    assert set(data) == members.ASSOCIATIONS_CONFIRMED
    assert data["event_name"] == "student.associations.confirmed"
    assert (data["entity_id"], data["entity_type"]) == (str(batch.id), "batch")
    assert (data["parent_id"], data["batch_id"]) == (None, str(batch.id))
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
    assert all(set(a) == members.CONFIRMED_ASSOCIATION for a in data["associations"])
    assert {a["validated_by"] for a in data["associations"]} == {batch.room.teacher.user_id}
    decided = {a["essay_id"]: a for a in data["associations"]}
    found = [decided[str(essay_id)] for essay_id in batch.essays]
    assert [a["student_id"] for a in found] == [str(batch.room.students[0]), None, None]
    assert [a["confidence_score"] for a in found] == [0.9, 0.8, 0.0]
    assert [a["validation_method"] for a in found] == ["human"] * 3
    [cleared] = published[topics.TIMERS]
    assert (set(cleared.data), cleared.key) == (members.CLEARED, str(batch.id))
    [told] = published[topics.NOTIFICATION_REQUESTED]
    assert told.data["notification_type"] == "student_associations_confirmed"
    assert (told.data["category"], told.data["priority"]) == ("student_workflow", "high")
    payload = told.data["payload"]
    assert set(payload) == members.PAYLOADS["student_associations_confirmed"]
    assert payload["validation_summary"] == data["validation_summary"]


async def test_events_of_a_decision_carry_the_correlation_id_of_its_request(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9)
    request = caller(batch.room.teacher.user_id)
    await stores.associations.confirm(request, batch.id, [yes(batch, 0)])
    published = await stores.published()
    assert len(published) == 3
    caused_by = {one.envelope["correlation_id"] for one in published}
    assert caused_by == {str(request.trace.correlation_id)}


async def test_timer_of_an_open_batch_goes_to_the_next_deadline(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(SOON)
    further = deliver(batch.room.id, result(), batch_id=batch.id)
    await store_one(stores, further)
    await stores.published()
    await confirm(stores, batch, yes(batch, 0))
    [armed] = await stores.published()
    [pending] = await stores.timers.pending_batches(None, 10)
    assert armed.data["pending_count"] == pending.pending_count == 1
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    assert view.confirm_by == pending.confirm_by
    assert armed.data["confirm_by"].startswith(f"{pending.confirm_by:%Y-%m-%dT%H:%M:%S}")


# --- again, and otherwise ----------------------------------------------------------------------


async def test_decision_that_is_repeated_changes_nothing(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    await confirm(stores, batch, yes(batch, 0))
    owner = batch.room.teacher.user_id
    before = await stores.associations.get_batch(owner, batch.id)
    await stores.published()
    await stores.elapse(SOON)
    before = await stores.associations.get_batch(owner, batch.id)
    explicit = HumanDecision(batch.essays[0], confirmed=True, student_id=batch.room.students[0])
    for decision in (yes(batch, 0), explicit, yes(batch, 0)):
        assert await confirm(stores, batch, decision) == BatchTotals(1, 0, 1)
    assert await stores.associations.get_batch(owner, batch.id) == before
    assert await stores.published() == []


async def test_closed_batch_takes_repetitions_and_publishes_nothing(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    await confirm(stores, batch, yes(batch, 0), no(batch, 1))
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1
    for _ in range(3):
        totals = await confirm(stores, batch, yes(batch, 0), no(batch, 1))
        assert totals == BatchTotals(1, 1, 0)
    assert await stores.published() == []


@pytest.mark.parametrize("closed", [False, True])
async def test_contradicting_a_decision_is_a_conflict(stores: Stores, *, closed: bool) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    await confirm(stores, batch, yes(batch, 0), *([yes(batch, 1)] if closed else []))
    owner = batch.room.teacher.user_id
    before = await stores.associations.get_batch(owner, batch.id)
    await stores.published()
    other = HumanDecision(batch.essays[0], confirmed=True, student_id=batch.room.students[1])
    for decision in (no(batch, 0), other):
        with pytest.raises(BatchConflictError):
            await confirm(stores, batch, decision)
    assert await stores.associations.get_batch(owner, batch.id) == before
    assert await stores.published() == []


async def test_one_bad_decision_keeps_the_others_from_being_applied(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8, 0.7)
    await confirm(stores, batch, yes(batch, 2))
    outsider = (await make_classroom(stores, 1, batch.room.teacher)).students[0]
    owner = batch.room.teacher.user_id
    before = await stores.associations.get_batch(owner, batch.id)
    await stores.published()
    unknown_essay = HumanDecision(new_id(), confirmed=True)
    not_in_class = HumanDecision(batch.essays[1], confirmed=True, student_id=outsider)
    nobody = HumanDecision(batch.essays[1], confirmed=True, student_id=new_id())
    for bad, member in (
        (unknown_essay, "essay_id"),
        (not_in_class, "student_id"),
        (nobody, "student_id"),
    ):
        with pytest.raises(ValidationFailedError) as refusal:
            await confirm(stores, batch, yes(batch, 0), bad)
        assert [e.pointer for e in refusal.value.errors] == [f"/associations/1/{member}"]
    with pytest.raises(BatchConflictError):
        await confirm(stores, batch, yes(batch, 0), no(batch, 2))
    assert await stores.associations.get_batch(owner, batch.id) == before
    assert await stores.published() == []


async def test_essay_of_another_batch_is_unknown_to_this_one(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch, other = [await make_batch(stores, 0.9, room=room) for _ in range(2)]
    with pytest.raises(ValidationFailedError):
        await confirm(stores, batch, yes(other, 0))


async def test_suggested_student_who_left_the_class_cannot_be_confirmed(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    gone = batch.room.students[0]
    leave = StudentChange(remove_class_ids=(batch.room.id,))
    await stores.classes.update_student(batch.room.teacher, gone, leave)
    with pytest.raises(ValidationFailedError):
        await confirm(
            stores, batch, HumanDecision(batch.essays[0], confirmed=True, student_id=gone)
        )
    # As the clock would: nobody is suggested any more.
    await confirm(stores, batch, yes(batch, 0))
    unknown = await stores.queries.essay_student(batch.essays[0])
    assert unknown.name == person("UNKNOWN", "STUDENT")


# --- at the same moment ------------------------------------------------------------------------


async def test_two_equal_decisions_at_the_same_moment_close_once(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    both = await asyncio.gather(*(confirm_all(stores, batch) for _ in range(5)))
    assert both == [BatchTotals(2, 0, 0)] * 5
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1


async def test_of_two_contradicting_decisions_at_the_same_moment_one_wins(stores: Stores) -> None:
    for _ in range(5):
        batch = await make_batch(stores, 0.9)
        answers = await asyncio.gather(
            confirm(stores, batch, yes(batch, 0)),
            confirm(stores, batch, no(batch, 0)),
            return_exceptions=True,
        )
        won = [answer for answer in answers if isinstance(answer, BatchTotals)]
        lost = [answer for answer in answers if isinstance(answer, BatchConflictError)]
        assert (len(won), len(lost)) == (1, 1)
        [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
        assert confirmed.data["validation_summary"]["confirmed"] == won[0].confirmed


async def test_halves_decided_at_the_same_moment_close_once(stores: Stores) -> None:
    batch = await make_batch(stores, *[0.9] * 8)
    totals = await asyncio.gather(*(confirm(stores, batch, yes(batch, i)) for i in range(8)))
    assert min(t.pending for t in totals) == 0
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert confirmed.data["validation_summary"]["human"] == 8


async def test_human_and_clock_at_the_same_moment_never_decide_both(stores: Stores) -> None:
    for _ in range(5):
        batch = await make_batch(stores, 0.9)
        await stores.elapse(A_DAY)
        human, clock = await asyncio.gather(
            confirm(stores, batch, no(batch, 0)),
            stores.timers.decide_due([batch.id]),
            return_exceptions=True,
        )
        assert not isinstance(clock, BaseException)
        [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
        [association] = confirmed.data["associations"]
        if isinstance(human, BatchConflictError):
            assert (clock.essays, association["validation_method"]) == (1, "timeout")
        else:
            assert human == BatchTotals(0, 1, 0)
            assert (clock.essays, association["validation_method"]) == (0, "human")


async def test_suggestions_and_last_decision_at_the_same_moment_close_once(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9)
    further = deliver(batch.room.id, result(), batch_id=batch.id)
    _, outcome = await asyncio.gather(
        confirm(stores, batch, yes(batch, 0)), store_one(stores, further)
    )
    [state] = await stores.timers.batch_states([batch.id])
    confirmed = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    if outcome is Outcome.STORED:
        assert (state.pending_count, state.closed_at, confirmed) == (1, None, [])
    else:
        assert outcome is Outcome.DEAD_LETTERED
        assert (state.pending_count, len(confirmed)) == (0, 1)


# --- whose batch it is -------------------------------------------------------------------------

Read = Callable[[Stores, str, StoredBatch], Awaitable[object]]

READS: dict[str, Read] = {
    "get_batch": lambda stores, user, batch: stores.associations.get_batch(user, batch.id),
    "confirm": lambda stores, user, batch: stores.associations.confirm(
        caller(user), batch.id, [yes(batch, 0)]
    ),
}


@pytest.mark.parametrize("name", READS)
async def test_batch_of_another_user_answers_like_no_batch(stores: Stores, name: str) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    owner = batch.room.teacher.user_id
    before = await stores.associations.get_batch(owner, batch.id)
    nowhere = StoredBatch(batch.room, deliver(batch.room.id, result()))
    with pytest.raises(BatchNotFoundError) as foreign:
        await READS[name](stores, "intruder", batch)
    with pytest.raises(BatchNotFoundError) as absent:
        await READS[name](stores, owner, nowhere)
    assert foreign.value.detail == absent.value.detail
    assert await stores.associations.get_batch(owner, batch.id) == before
    assert await stores.published() == []
    await READS[name](stores, owner, batch)


async def test_student_of_another_owner_cannot_be_confirmed(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    foreign = (await make_classroom(stores, 1, caller("other"))).students[0]
    with pytest.raises(ValidationFailedError):
        await confirm(
            stores, batch, HumanDecision(batch.essays[0], confirmed=True, student_id=foreign)
        )


# --- what deletions do -------------------------------------------------------------------------


async def test_deleted_class_has_its_pending_associations_rejected(stores: Stores) -> None:
    room = await make_classroom(stores)
    mixed = await make_batch(stores, 0.9, 0.8, room=room)
    closed = await make_batch(stores, 0.9, room=room)
    untouched = await make_batch(stores, 0.9)
    await confirm(stores, mixed, yes(mixed, 0))
    await confirm(stores, closed, yes(closed, 0))
    await stores.published()
    await stores.classes.delete_class(room.teacher, room.id)
    assert [one.topic for one in await stores.published()] == [topics.CLASS_DELETED]
    assert [one.batch_id for one in await stores.open_batches.settle(10)] == [mixed.id]
    published = by_topic(await stores.published())
    assert published.keys() == {
        topics.ASSOCIATIONS_CONFIRMED,
        topics.NOTIFICATION_REQUESTED,
        topics.TIMERS,
    }
    [cleared] = published[topics.TIMERS]
    assert (cleared.data["event"], cleared.key) == ("cleared", str(mixed.id))
    for batch in (mixed, closed):
        for read in READS.values():
            with pytest.raises(BatchNotFoundError):
                await read(stores, room.teacher.user_id, batch)
        names = await stores.queries.student_names(batch.id)
        assert [(n.essay_id, n.student_id) for n in names] == [(batch.essays[0], room.students[0])]
    with pytest.raises(EssayNotFoundError):
        await stores.queries.essay_student(mixed.essays[1])
    for state in await stores.timers.batch_states([mixed.id, closed.id]):
        assert state.pending_count == 0
        assert state.closed_at is not None
    assert await stores.queries.class_info([mixed.id, closed.id]) == {}
    pending = await stores.timers.pending_batches(None, 10)
    assert [p.batch_id for p in pending] == [untouched.id]
    await stores.elapse(2 * A_DAY)
    assert (await stores.timers.decide_due([mixed.id, closed.id])).essays == 0
    assert timers(await stores.published()) == [("cleared", None)] * 2


async def test_essay_of_a_deleted_class_stays_with_its_batch(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.classes.delete_class(batch.room.teacher, batch.room.id)
    room = await make_classroom(stores)
    again = result(suggest(room.students[0]), essay_id=batch.essays[0])
    delivery = deliver(room.id, again)
    assert await store_one(stores, delivery) is Outcome.CLOSED
    view = await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
    assert view.associations == ()


async def test_deleted_student_leaves_its_pending_associations_unmatched(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch = await make_batch(stores, 0.9, 0.9, room=room)
    gone = room.students[0]
    await stores.classes.delete_student(room.teacher, gone)
    assert [p.topic for p in await stores.published()] == [topics.STUDENT_DELETED]
    view = await stores.associations.get_batch(room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a for a in view.associations}
    withdrawn, kept = (shown[essay_id] for essay_id in batch.essays)
    assert withdrawn.association.pending
    assert (withdrawn.association.suggested_student_id, withdrawn.student_name) == (None, None)
    assert (withdrawn.association.confidence, withdrawn.association.match_reasons) == (0.0, ())
    assert kept.association.suggested_student_id == room.students[1]
    await stores.elapse(A_DAY)
    assert (await stores.timers.decide_due([batch.id])).essays == 2
    names = {n.essay_id: n.name for n in await stores.queries.student_names(batch.id)}
    assert names == {
        batch.essays[0]: person("UNKNOWN", "STUDENT"),
        batch.essays[1]: person("First1", "Last1"),
    }


async def test_deleted_student_leaves_its_decided_essays_without_anybody(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch = await make_batch(stores, 0.9, 0.9, 0.9, room=room)
    gone, other = room.students[:2]
    moved = HumanDecision(batch.essays[1], confirmed=True, student_id=gone)
    from_him = HumanDecision(batch.essays[0], confirmed=True, student_id=other)
    await confirm(stores, batch, moved, from_him)
    await stores.classes.delete_student(room.teacher, gone)
    view = await stores.associations.get_batch(room.teacher.user_id, batch.id)
    shown = {a.association.essay_id: a for a in view.associations}
    suggested_him, given_him = shown[batch.essays[0]], shown[batch.essays[1]]
    assert suggested_him.association.suggested_student_id is None
    assert (suggested_him.association.student_id, suggested_him.association.confidence) == (
        other,
        0.9,
    )
    assert given_him.association.student_id is None
    assert given_him.association.suggested_student_id == other
    assert given_him.association.status is Status.CONFIRMED
    names = await stores.queries.student_names(batch.id)
    assert [(n.essay_id, n.student_id) for n in names] == [(batch.essays[0], other)]
    with pytest.raises(EssayNotFoundError):
        await stores.queries.essay_student(batch.essays[1])
    await stores.published()
    await confirm(stores, batch, no(batch, 2))
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    decided = {a["essay_id"]: a["student_id"] for a in confirmed.data["associations"]}
    assert decided[str(batch.essays[1])] is None


# --- what is read ------------------------------------------------------------------------------


async def test_associations_are_shown_oldest_first_then_by_essay(stores: Stores) -> None:
    room = await make_classroom(stores)
    batch_id = new_id()
    expected = []
    for _ in range(3):
        delivery = deliver(room.id, *(result() for _ in range(5)), batch_id=batch_id)
        await store_one(stores, delivery)
        expected += sorted(found.essay_id for found in delivery.message.results)
        await stores.elapse(SOON)
    view = await stores.associations.get_batch(room.teacher.user_id, batch_id)
    assert [a.association.essay_id for a in view.associations] == expected


async def test_decided_batch_shows_its_latest_deadline(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    await stores.elapse(SOON)
    further = deliver(batch.room.id, result(), batch_id=batch.id)
    await store_one(stores, further)
    reject = HumanDecision(further.message.results[0].essay_id, confirmed=False)
    await confirm(stores, batch, yes(batch, 0), reject)
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    assert view.confirm_by == max(a.association.confirm_by for a in view.associations)
    assert len({a.association.confirm_by for a in view.associations}) == 2


async def test_names_are_read_of_decided_essays_with_a_student(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9, 0.9, 0.9)
    first, second, third, fourth = batch.essays
    other = batch.room.students[3]
    replaced = HumanDecision(third, confirmed=False, student_id=other)
    await confirm(stores, batch, yes(batch, 0), no(batch, 1), replaced)
    names = await stores.queries.student_names(batch.id)
    assert {n.essay_id: n.student_id for n in names} == {
        first: batch.room.students[0],
        third: other,
    }
    found = await stores.queries.essay_student(third)
    assert (found.essay_id, found.student_id) == (third, other)
    assert found.name == person("First3", "Last3")
    for essay_id in (second, fourth, new_id()):
        with pytest.raises(EssayNotFoundError):
            await stores.queries.essay_student(essay_id)
    assert await stores.queries.student_names(new_id()) == []


async def test_names_are_shown_in_their_legal_form_and_script(stores: Stores) -> None:
    teacher = caller("معلم")
    cls = await make_class(stores, teacher, new_class("الصف التاسع"))
    name = person("محمد", "عبد الله", "محمد بن أحمد عبد الله")
    new = new_student(class_ids=[cls.id])
    made = await make_student(stores, teacher, new)
    await stores.classes.update_student(teacher, made.id, StudentChange(name=name))
    delivery = deliver(cls.id, result(suggest(new.id, 0.9, ["تطابق"])))
    await store_one(stores, delivery)
    batch = StoredBatch(Classroom(teacher, cls, [new.id]), delivery)
    view = await stores.associations.get_batch("معلم", batch.id)
    assert [shown.student_name for shown in view.associations] == ["محمد بن أحمد عبد الله"]
    assert view.associations[0].association.match_reasons == ("تطابق",)
    await confirm(stores, batch, yes(batch, 0))
    assert (await stores.queries.essay_student(batch.essays[0])).name == name
    assert (await stores.queries.class_info([batch.id]))[batch.id].name == "الصف التاسع"


async def test_class_info_leaves_out_what_is_unknown(stores: Stores) -> None:
    room = await make_classroom(stores, new=new_class("9A", "ENG7"))
    batches = [await make_batch(stores, 0.9, room=room) for _ in range(2)]
    found = await stores.queries.class_info([new_id(), *(b.id for b in batches)])
    assert found.keys() == {batch.id for batch in batches}
    for cls in found.values():
        assert (cls.id, cls.owner_id) == (room.id, room.teacher.user_id)
        assert (cls.name, cls.course_code) == ("9A", "ENG7")
    assert await stores.queries.class_info([]) == {}


async def test_states_of_batches_leave_out_what_is_unknown(stores: Stores) -> None:
    room = await make_classroom(stores)
    pending = await make_batch(stores, 0.9, 0.9, room=room)
    closed = await make_batch(stores, 0.9, room=room)
    await confirm(stores, closed, yes(closed, 0))
    asked = [pending.id, new_id(), closed.id]
    states = {s.batch_id: s for s in await stores.timers.batch_states(asked)}
    assert states.keys() == {pending.id, closed.id}
    view = await stores.associations.get_batch(room.teacher.user_id, pending.id)
    assert (states[pending.id].pending_count, states[pending.id].closed_at) == (2, None)
    assert states[pending.id].confirm_by == view.confirm_by
    assert (states[closed.id].pending_count, states[closed.id].confirm_by) == (0, None)
    assert await stores.timers.batch_states([]) == []
