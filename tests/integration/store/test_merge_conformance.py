"""Two students become one: what every store promises."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest

from rules import topics
from rules.changes import NewStudentRequest
from rules.errors import (
    EmailConflictError,
    PlaceholderError,
    ServiceError,
    StudentNotFoundError,
    ValidationFailedError,
)
from rules.ids import new_id
from rules.models import (
    Association,
    HumanDecision,
    Status,
    StudentChange,
    StudentRecord,
)
from tests.integration.store.builders import (
    A_DAY,
    Published,
    StoredBatch,
    Stores,
    by_topic,
    caller,
    deliver,
    make_batch,
    make_class,
    make_classroom,
    make_student,
    new_student,
    result,
    store_one,
    suggest,
    timers,
)
from tests.unit.rules import members

TEACHER = caller()


async def student(stores: Stores, email: str | None, *class_ids: UUID) -> StudentRecord:
    return await make_student(stores, TEACHER, new_student("Åsa", "Berg", email, class_ids))


async def merge(stores: Stores, gone: UUID, into: UUID) -> StudentRecord:
    return await stores.classes.merge_students(TEACHER, gone, into)


async def shown(stores: Stores, batch: StoredBatch) -> list[Association]:
    """Return a batch's associations, in the order of its essays."""
    view = await stores.associations.get_batch(TEACHER.user_id, batch.id)
    found = {a.association.essay_id: a.association for a in view.associations}
    return [found[essay_id] for essay_id in batch.essays]


async def is_there(stores: Stores, student_id: UUID) -> bool:
    try:
        await stores.classes.get_student(TEACHER.user_id, student_id)
    except StudentNotFoundError:
        return False
    return True


# --- the students ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "into", "becomes"),
    [
        (None, None, None),
        ("a@b.example", None, "a@b.example"),
        (None, "c@d.example", "c@d.example"),
        ("a@b.example", "c@d.example", "c@d.example"),
    ],
)
async def test_one_of_two_has_what_both_had(
    stores: Stores, gone: str | None, into: str | None, becomes: str | None
) -> None:
    a, b, c = [(await make_class(stores, TEACHER)).id for _ in range(3)]
    first = await student(stores, gone, a, b)
    second = await make_student(stores, TEACHER, new_student("Eva", "Ek", into, [b, c]))
    merged = await merge(stores, first.id, second.id)
    assert (merged.id, merged.name, merged.email) == (second.id, second.name, becomes)
    assert merged.class_ids == tuple(sorted([a, b, c]))
    assert (merged.version, merged.created_at) == (second.version + 1, second.created_at)
    assert merged.updated_at >= second.updated_at
    assert await stores.classes.get_student(TEACHER.user_id, second.id) == merged
    assert not await is_there(stores, first.id)
    for class_id in (a, b, c):
        roster = await stores.rosters.roster(class_id, TEACHER.user_id)
        assert [one.id for one in roster] == [second.id]
    # The address that nobody has any more is free, the other is not.
    for email in {gone, into} - {None}:
        again = NewStudentRequest(TEACHER, new_student("Bo", "Ek", email))
        [made] = await stores.classes.create_students([again])
        assert isinstance(made, StudentRecord) == (email != becomes)


async def test_events_tell_it(stores: Stores) -> None:
    room = await make_classroom(stores, 2, TEACHER)
    gone, into = room.students
    other = await make_class(stores, TEACHER)
    change = StudentChange(add_class_ids=(other.id,))
    await stores.classes.update_student(TEACHER, gone, change)
    batch = await make_batch(stores, 0.9, 0.8, room=room)
    yes = [HumanDecision(essay_id, confirmed=True) for essay_id in batch.essays]
    await stores.associations.confirm(TEACHER, batch.id, yes)
    await stores.published()
    merged = await merge(stores, gone, into)
    published = await stores.published()
    told = {one.topic: one for one in published}
    assert (len(published), {topic: one.key for topic, one in told.items()}) == (
        4,
        {
            topics.STUDENT_UPDATED: str(into),
            topics.NOTIFICATION_REQUESTED: TEACHER.user_id,
            topics.ASSOCIATION_UPDATED: str(batch.id),
            topics.STUDENT_DELETED: str(gone),
        },
    )
    student_updated = told[topics.STUDENT_UPDATED].data
    added = told[topics.NOTIFICATION_REQUESTED].data
    updated = told[topics.ASSOCIATION_UPDATED].data
    deleted = told[topics.STUDENT_DELETED].data
    assert set(student_updated) == members.STUDENT_UPDATED
    assert student_updated["add_class_ids"] == [str(other.id)]
    assert student_updated["remove_class_ids"] == []
    assert student_updated["student_email"] == merged.email
    assert added["notification_type"] == "student_added_to_class"
    assert set(updated) == members.ASSOCIATION_UPDATED
    assert (updated["essay_id"], updated["student_id"]) == (str(batch.essays[0]), str(into))
    assert (updated["first_name"], updated["student_email"]) == ("First1", merged.email)
    assert (updated["association_method"], updated["confidence_score"]) == ("manual", None)
    assert updated["created_by_user_id"] == TEACHER.user_id
    assert deleted["student_id"] == str(gone)
    for one in published:
        assert one.envelope["correlation_id"] == str(TEACHER.trace.correlation_id)


async def test_student_does_not_merge_with_itself(stores: Stores) -> None:
    record = await student(stores, "a@b.example")
    await stores.published()
    with pytest.raises(ValidationFailedError) as refusal:
        await merge(stores, record.id, record.id)
    assert [fault.pointer for fault in refusal.value.errors] == ["/into"]
    assert await stores.classes.get_student(TEACHER.user_id, record.id) == record
    assert await stores.published() == []


async def test_the_unknown_student_merges_with_nobody(stores: Stores) -> None:
    batch = await make_batch(stores, None, room=await make_classroom(stores, 1, TEACHER))
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    unknown = (await stores.queries.essay_student(batch.essays[0])).student_id
    mine = batch.room.students[0]
    await stores.published()
    for gone, into in ((unknown, mine), (mine, unknown)):
        with pytest.raises(PlaceholderError):
            await merge(stores, gone, into)
    assert (await stores.queries.essay_student(batch.essays[0])).student_id == unknown
    assert await is_there(stores, mine)
    assert await stores.published() == []


@pytest.mark.parametrize("known", [True, False], ids=["another's", "nobody's"])
async def test_student_of_another_is_as_good_as_absent(stores: Stores, *, known: bool) -> None:
    mine = await student(stores, None)
    theirs = await make_classroom(stores, 1, caller("other"))
    target = theirs.students[0] if known else new_id()
    await stores.published()
    for gone, into in ((mine.id, target), (target, mine.id)):
        with pytest.raises(StudentNotFoundError):
            await merge(stores, gone, into)
    assert await stores.classes.get_student(TEACHER.user_id, mine.id) == mine
    assert len(await stores.rosters.roster(theirs.id, "other")) == 1
    assert await stores.published() == []


# --- their essays ------------------------------------------------------------------------------


async def test_decided_pending_and_suggested_essays_move(stores: Stores) -> None:
    room = await make_classroom(stores, 3, TEACHER)
    gone, into, third = room.students
    found = [suggest(gone), suggest(gone), suggest(gone), suggest(third), suggest(into)]
    delivery = deliver(room.id, *(result(one) for one in found))
    await store_one(stores, delivery)
    batch = StoredBatch(room, delivery)
    confirmed, rejected, pending, given, untouched = batch.essays
    decisions = [
        HumanDecision(confirmed, confirmed=True),
        HumanDecision(rejected, confirmed=False),
        HumanDecision(given, confirmed=True, student_id=gone),
    ]
    await stores.associations.confirm(TEACHER, batch.id, decisions)
    before = await shown(stores, batch)
    await stores.published()
    await merge(stores, gone, into)
    published = by_topic(await stores.published())
    told = {one.data["essay_id"] for one in published[topics.ASSOCIATION_UPDATED]}
    assert told == {str(confirmed), str(given)}
    assert topics.ASSOCIATIONS_CONFIRMED not in published
    assert topics.TIMERS not in published
    after = await shown(stores, batch)
    assert [(a.suggested_student_id, a.student_id) for a in after] == [
        (into, into),
        (into, None),
        (into, None),
        (third, into),
        (into, None),
    ]
    assert [_decision(a) for a in after] == [_decision(a) for a in before]
    assert after[2].pending
    assert [a.essay_id for a in after if a == before[4]] == [untouched]
    names = await stores.queries.student_names(batch.id)
    assert {(n.essay_id, n.student_id) for n in names} == {(confirmed, into), (given, into)}
    assert pending == after[2].essay_id


def _decision(a: Association) -> tuple[object, ...]:
    return (
        a.status,
        a.method,
        a.validated_by,
        a.validated_at,
        a.confidence,
        a.match_reasons,
        a.confirm_by,
    )


async def test_pending_essays_are_decided_for_the_one_that_stays(stores: Stores) -> None:
    room = await make_classroom(stores, 2, TEACHER)
    gone, into = room.students
    elsewhere = await make_class(stores, TEACHER)
    leaves = StudentChange(add_class_ids=(elsewhere.id,), remove_class_ids=(room.id,))
    await stores.classes.update_student(TEACHER, into, leaves)
    batch = await make_batch(stores, 0.9, room=room)
    late = await make_batch(stores, 0.9, room=room)
    await merge(stores, gone, into)
    await stores.published()
    yes = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(TEACHER, batch.id, [yes])
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert [one["student_id"] for one in confirmed.data["associations"]] == [str(into)]
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([late.id])
    [confirmed] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert [one["student_id"] for one in confirmed.data["associations"]] == [str(into)]


async def test_essays_of_classes_left_and_deleted_move_all_the_same(stores: Stores) -> None:
    left = await make_classroom(stores, 2, TEACHER)
    gone = left.students[0]
    deleted = await make_class(stores, TEACHER)
    await stores.classes.update_student(TEACHER, gone, StudentChange(add_class_ids=(deleted.id,)))
    into = (await student(stores, None)).id
    batches = []
    for class_id in (left.id, deleted.id):
        delivery = deliver(class_id, result(suggest(gone)))
        await store_one(stores, delivery)
        batches.append(StoredBatch(left, delivery))
        yes = HumanDecision(batches[-1].essays[0], confirmed=True)
        await stores.associations.confirm(TEACHER, batches[-1].id, [yes])
    await stores.classes.update_student(TEACHER, gone, StudentChange(remove_class_ids=(left.id,)))
    await stores.classes.delete_class(TEACHER, deleted.id)
    await stores.published()
    merged = await merge(stores, gone, into)
    assert merged.class_ids == ()
    updated = await stores.published(topics.ASSOCIATION_UPDATED)
    assert {one.key for one in updated} == {str(batch.id) for batch in batches}
    for batch in batches:
        assert (await stores.queries.essay_student(batch.essays[0])).student_id == into


async def test_history_names_the_one_that_stays(stores: Stores) -> None:
    room = await make_classroom(stores, 3, TEACHER)
    gone, into, third = room.students
    batch = await make_batch(stores, 0.9, room=room)
    essay_id = batch.essays[0]
    yes = HumanDecision(essay_id, confirmed=True)
    await stores.associations.confirm(TEACHER, batch.id, [yes])
    await stores.associations.correct(TEACHER, batch.id, essay_id, third)
    await merge(stores, gone, into)
    past = await stores.associations.history(TEACHER.user_id, batch.id, essay_id)
    assert [one.student_id for one in past] == [into, third]
    assert [one.status for one in past] == [Status.CONFIRMED] * 2


async def test_an_essay_decided_for_one_of_them_can_be_repeated_for_the_other(
    stores: Stores,
) -> None:
    room = await make_classroom(stores, 2, TEACHER)
    gone, into = room.students
    batch = await make_batch(stores, 0.9, room=room)
    yes = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(TEACHER, batch.id, [yes])
    await merge(stores, gone, into)
    await stores.published()
    await stores.associations.correct(TEACHER, batch.id, batch.essays[0], into)
    named = HumanDecision(batch.essays[0], confirmed=True, student_id=into)
    await stores.associations.confirm(TEACHER, batch.id, [named])
    assert await stores.published() == []


async def test_thousands_of_essays_are_told_each_once(stores: Stores) -> None:
    room = await make_classroom(stores, 2, TEACHER)
    gone, into = room.students
    delivery = deliver(room.id, *(result(suggest(gone)) for _ in range(1_200)))
    await store_one(stores, delivery)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([delivery.message.batch_id])
    await stores.published()
    await merge(stores, gone, into)
    updated = await stores.published(topics.ASSOCIATION_UPDATED)
    essays = {str(found.essay_id) for found in delivery.message.results}
    assert Counter(one.data["essay_id"] for one in updated) == Counter(essays)
    assert {one.data["student_id"] for one in updated} == {str(into)}


# --- at the same moment ------------------------------------------------------------------------

ROUNDS = 6


def refused_only(answers: Sequence[object]) -> list[ServiceError]:
    """Return the refusals; anything else that was raised is a defect."""
    raised = [one for one in answers if isinstance(one, BaseException)]
    refusals = [one for one in raised if isinstance(one, ServiceError)]
    assert refusals == raised
    return refusals


def once(published: list[Published]) -> set[str]:
    """Return the essays that the one confirmed event has, by whether each is there once."""
    [confirmed] = [one for one in published if one.topic == topics.ASSOCIATIONS_CONFIRMED]
    essays = [one["essay_id"] for one in confirmed.data["associations"]]
    assert len(essays) == len(set(essays))
    return set(essays)


async def test_two_merges_into_each_other_leave_one(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 2, TEACHER)
        a, b = room.students
        await make_batch(stores, 0.9, 0.9, room=room)
        answers = await asyncio.gather(
            merge(stores, a, b), merge(stores, b, a), return_exceptions=True
        )
        [refusal] = refused_only(answers)
        assert isinstance(refusal, StudentNotFoundError)
        assert [await is_there(stores, one) for one in (a, b)].count(True) == 1
        deleted = await stores.published(topics.STUDENT_DELETED)
        assert len(deleted) == 1


async def test_a_chain_of_merges_at_the_same_moment_loses_no_essay(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 4, TEACHER)
        batch = await make_batch(stores, 0.9, 0.9, 0.9, 0.9, room=room)
        yes = [HumanDecision(essay_id, confirmed=True) for essay_id in batch.essays]
        await stores.associations.confirm(TEACHER, batch.id, yes)
        a, b, c, d = room.students
        wanted = [(a, b), (b, c), (c, d), (d, a)]
        answers = await asyncio.gather(
            *(merge(stores, *pair) for pair in wanted), return_exceptions=True
        )
        refused_only(answers)
        left = [one for one in room.students if await is_there(stores, one)]
        assert left
        assert {one.student_id for one in await shown(stores, batch)} <= set(left)


async def test_a_merge_and_the_last_decision_at_the_same_moment(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 2, TEACHER)
        gone, into = room.students
        batch = await make_batch(stores, 0.9, 0.9, room=room)
        await stores.published()
        by_name = HumanDecision(batch.essays[1], confirmed=True, student_id=gone)
        suggested = HumanDecision(batch.essays[0], confirmed=True)
        answers = await asyncio.gather(
            stores.associations.confirm(TEACHER, batch.id, [suggested, by_name]),
            merge(stores, gone, into),
            return_exceptions=True,
        )
        refusals = refused_only(answers)
        published = await stores.published()
        if refusals:
            assert isinstance(refusals[0], ValidationFailedError)
            assert topics.ASSOCIATIONS_CONFIRMED not in by_topic(published)
            await stores.associations.confirm(TEACHER, batch.id, [suggested])
        else:
            assert once(published) == set(map(str, batch.essays))
        for one in await shown(stores, batch):
            assert one.suggested_student_id == into
            assert one.pending or one.student_id == into


async def test_a_merge_and_the_clock_at_the_same_moment(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 2, TEACHER)
        gone, into = room.students
        batch = await make_batch(stores, 0.9, 0.9, room=room)
        await stores.elapse(A_DAY)
        await asyncio.gather(stores.timers.decide_due([batch.id]), merge(stores, gone, into))
        await stores.timers.decide_due([batch.id])
        published = await stores.published()
        assert once(published) == set(map(str, batch.essays))
        assert [one.student_id for one in await shown(stores, batch)] == [into, into]
        assert timers(published)[-1][0] == "cleared"
        # Whoever was first: the last that was told of each essay is the one that stays.
        told: dict[str, str] = {}
        for one in published:
            if one.topic == topics.ASSOCIATIONS_CONFIRMED:
                told |= {a["essay_id"]: a["student_id"] for a in one.data["associations"]}
            elif one.topic == topics.ASSOCIATION_UPDATED:
                told[one.data["essay_id"]] = one.data["student_id"]
        assert set(told.values()) == {str(into)}


async def test_a_merge_and_a_correction_at_the_same_moment(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 3, TEACHER)
        gone, into, third = room.students
        batch = await make_batch(stores, 0.9, 0.9, 0.9, room=room)
        yes = [HumanDecision(essay_id, confirmed=True) for essay_id in batch.essays]
        await stores.associations.confirm(TEACHER, batch.id, yes)
        correct = stores.associations.correct
        answers = await asyncio.gather(
            correct(TEACHER, batch.id, batch.essays[0], third),
            merge(stores, gone, into),
            correct(TEACHER, batch.id, batch.essays[2], gone),
            return_exceptions=True,
        )
        refused = refused_only(answers)
        assert all(isinstance(one, ValidationFailedError) for one in refused)
        named = [one.student_id for one in await shown(stores, batch)]
        assert named == [third, into, third if refused else into]
        for essay_id in batch.essays:
            past = await stores.associations.history(TEACHER.user_id, batch.id, essay_id)
            assert gone not in {one.student_id for one in past}


async def test_a_merge_and_a_leaving_at_the_same_moment(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 2, TEACHER)
        gone, into = room.students
        other = await make_class(stores, TEACHER)
        moves = StudentChange(add_class_ids=(other.id,), remove_class_ids=(room.id,))
        answers = await asyncio.gather(
            stores.classes.update_student(TEACHER, gone, moves),
            merge(stores, gone, into),
            return_exceptions=True,
        )
        refused = refused_only(answers)
        assert all(isinstance(one, StudentNotFoundError) for one in refused)
        record = await stores.classes.get_student(TEACHER.user_id, into)
        assert set(record.class_ids) == {room.id} | (set() if refused else {other.id})
        assert not await is_there(stores, gone)


async def test_a_merge_and_the_deletion_of_a_class_at_the_same_moment(stores: Stores) -> None:
    for _ in range(ROUNDS):
        room = await make_classroom(stores, 1, TEACHER)
        gone = room.students[0]
        into = (await student(stores, None)).id
        await make_batch(stores, 0.9, room=room)
        await asyncio.gather(
            stores.classes.delete_class(TEACHER, room.id), merge(stores, gone, into)
        )
        record = await stores.classes.get_student(TEACHER.user_id, into)
        assert record.class_ids == ()


async def test_an_address_that_moves_is_never_two_students(stores: Stores) -> None:
    for number in range(ROUNDS):
        email = f"a{number}@b.example"
        gone, into = await student(stores, email), await student(stores, None)
        again = NewStudentRequest(TEACHER, new_student("Bo", "Ek", email.upper()))
        made, merged = await asyncio.gather(
            stores.classes.create_students([again]), merge(stores, gone.id, into.id)
        )
        assert isinstance(made[0], EmailConflictError)
        assert merged.email == email
