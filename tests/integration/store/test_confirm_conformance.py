"""Confirming for nobody, and by confidence: on every store, over requests and commands."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import topics
from rules.commands.results import CommandStatus
from rules.errors import BatchConflictError, ValidationFailedError
from rules.ids import new_id
from rules.models import BatchTotals, HumanDecision, Method, Policy, Status, StudentChange
from tests.integration.store.builders import (
    A_DAY,
    StoredBatch,
    Stores,
    caller,
    deliver,
    make_batch,
    make_classroom,
    result,
    store_one,
    suggest,
)
from tests.support.commands import deliver as command
from tests.support.stores import memory_stores, postgres_stores

Given = list[tuple[int, bool, int | None]]


def yes(batch: StoredBatch, index: int) -> HumanDecision:
    return HumanDecision(batch.essays[index], confirmed=True)


def no(batch: StoredBatch, index: int) -> HumanDecision:
    return HumanDecision(batch.essays[index], confirmed=False)


async def confirm(
    stores: Stores, batch: StoredBatch, *decisions: HumanDecision, minimum: float | None = None
) -> BatchTotals:
    return await stores.associations.confirm(batch.room.teacher, batch.id, decisions, minimum)


async def decided(stores: Stores, batch: StoredBatch) -> list[tuple[Status, str | None]]:
    """Return the state of each essay, in the order of the message."""
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    by_essay = {one.association.essay_id: one for one in view.associations}
    found = [by_essay[essay_id] for essay_id in batch.essays]
    return [
        (one.association.status, one.student_name if one.association.student_id else None)
        for one in found
    ]


# --- for nobody ----------------------------------------------------------------------------------


async def test_confirming_for_nobody_gives_an_essay_to_unknown(stores: Stores) -> None:
    batch = await make_batch(stores, None, 0.2, None)
    teacher = caller(batch.room.teacher.user_id)
    wanted = [yes(batch, 0), yes(batch, 1)]
    totals = await stores.associations.confirm(teacher, batch.id, wanted)
    assert totals == BatchTotals(2, 0, 1)
    [made] = [p for p in await stores.published() if p.topic == topics.STUDENT_CREATED]
    assert made.data["student_email"] == f"unknown.{batch.room.id}@huleedu.system"
    assert made.envelope["correlation_id"] == str(teacher.trace.correlation_id)
    assert await decided(stores, batch) == [
        (Status.CONFIRMED, "UNKNOWN STUDENT"),
        (Status.CONFIRMED, "First1 Last1"),
        (Status.PENDING, None),
    ]
    # A second one goes to the same student, and the last decision closes the batch.
    assert await confirm(stores, batch, yes(batch, 2)) == BatchTotals(3, 0, 0)
    published = await stores.published()
    assert [p for p in published if p.topic == topics.STUDENT_CREATED] == []
    [event] = [p for p in published if p.topic == topics.ASSOCIATIONS_CONFIRMED]
    by_essay = {a["essay_id"]: a for a in event.data["associations"]}
    guests = [by_essay[str(batch.essays[index])] for index in (0, 2)]
    assert {a["student_id"] for a in guests} == {made.data["student_id"]}
    assert {a["validation_method"] for a in guests} == {"human"}


async def test_confirming_for_nobody_again_changes_nothing(stores: Stores) -> None:
    batch = await make_batch(stores, None, None)
    await confirm(stores, batch, yes(batch, 0))
    await stores.published()
    before = await decided(stores, batch)
    assert await confirm(stores, batch, yes(batch, 0)) == BatchTotals(1, 0, 1)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    await stores.published()
    # As the clock has decided, too.
    assert await confirm(stores, batch, yes(batch, 0), yes(batch, 1)) == BatchTotals(2, 0, 0)
    assert (await decided(stores, batch))[0] == before[0]
    assert await stores.published() == []


async def test_a_refused_request_makes_nobody(stores: Stores) -> None:
    batch = await make_batch(stores, None, 0.9)
    await confirm(stores, batch, yes(batch, 1))
    await stores.published()
    for wrong, refusal in (
        (HumanDecision(new_id(), confirmed=True), ValidationFailedError),
        (no(batch, 1), BatchConflictError),
    ):
        with pytest.raises(refusal):
            await confirm(stores, batch, yes(batch, 0), wrong)
        assert await stores.published() == []
        assert (await decided(stores, batch))[0] == (Status.PENDING, None)


async def test_two_teachers_requests_for_nobody_at_once_make_one_unknown(stores: Stores) -> None:
    room = await make_classroom(stores)
    batches = [await make_batch(stores, None, None, room=room) for _ in range(4)]
    await asyncio.gather(*(confirm(stores, b, yes(b, 0), yes(b, 1)) for b in batches))
    published = [one.topic for one in await stores.published()]
    assert published.count(topics.STUDENT_CREATED) == 1
    assert published.count(topics.ASSOCIATIONS_CONFIRMED) == len(batches)


async def test_a_class_deleted_at_the_same_moment_locks_nobody_up(stores: Stores) -> None:
    for _ in range(5):
        batch = await make_batch(stores, None, 0.9)
        room = batch.room
        answers = await asyncio.gather(
            confirm(stores, batch, yes(batch, 0)),
            stores.classes.delete_class(room.teacher, room.id),
            return_exceptions=True,
        )
        assert answers[1] is None


async def test_a_conflict_says_who_decided_and_how_to_correct_it(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9, 0.9)
    await confirm(stores, batch, yes(batch, 0))
    with pytest.raises(BatchConflictError) as by_person:
        await confirm(stores, batch, no(batch, 0))
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    with pytest.raises(BatchConflictError) as by_clock:
        await confirm(stores, batch, no(batch, 1))
    path = f"PUT /v1/batches/{batch.id}/student-associations/"
    for index, by_whom, refusal in ((0, "by a person", by_person), (1, "by the clock", by_clock)):
        assert f"{by_whom}. {path}{batch.essays[index]}" in refusal.value.detail


# --- by confidence -------------------------------------------------------------------------------


async def test_suggestions_of_a_confidence_are_confirmed_after_what_is_listed(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.9, 0.8, 0.7999, None, 1.0)
    other = HumanDecision(batch.essays[4], confirmed=True, student_id=batch.room.students[3])
    totals = await confirm(stores, batch, no(batch, 0), other, minimum=0.8)
    assert totals == BatchTotals(2, 1, 2)
    assert await decided(stores, batch) == [
        (Status.REJECTED, None),
        (Status.CONFIRMED, "First1 Last1"),
        (Status.PENDING, None),
        (Status.PENDING, None),
        (Status.CONFIRMED, "First3 Last3"),
    ]
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    by_essay = {one.association.essay_id: one.association for one in view.associations}
    one = by_essay[batch.essays[1]]
    assert (one.method, one.validated_by) == (Method.HUMAN, batch.room.teacher.user_id)
    # Nothing listed; and the last ones close the batch with its one event.
    assert await confirm(stores, batch, minimum=0) == BatchTotals(3, 1, 1)
    assert await confirm(stores, batch, no(batch, 3), minimum=0) == BatchTotals(3, 2, 0)
    assert len(await stores.published(topics.ASSOCIATIONS_CONFIRMED)) == 1


async def test_where_no_suggestion_qualifies_nothing_changes(stores: Stores) -> None:
    batch = await make_batch(stores, 0.7, None)
    assert await confirm(stores, batch, minimum=0.71) == BatchTotals(0, 0, 2)
    assert await stores.published() == []
    await confirm(stores, batch, minimum=0.7)
    await stores.published()
    assert await confirm(stores, batch, minimum=0.7) == BatchTotals(1, 0, 1)
    assert await stores.published() == []


async def test_one_bad_decision_keeps_suggestions_from_being_confirmed(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8)
    with pytest.raises(ValidationFailedError):
        await confirm(stores, batch, HumanDecision(new_id(), confirmed=True), minimum=0)
    assert await decided(stores, batch) == [(Status.PENDING, None)] * 2
    assert await stores.published() == []


async def test_a_batch_of_two_thousand_is_confirmed_at_once(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    found = [result(suggest(room.students[number % 3], 0.9)) for number in range(2_000)]
    delivery = deliver(room.id, *found)
    await store_one(stores, delivery)
    batch = StoredBatch(room, delivery)
    assert await confirm(stores, batch, minimum=0.9) == BatchTotals(2_000, 0, 0)
    [event] = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert event.data["validation_summary"]["human"] == 2_000


async def test_a_command_confirms_by_confidence_and_for_nobody(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, None, 0.5)
    delivery = command(
        "associations.confirm",
        batch.room.teacher.user_id,
        batch_id=batch.id,
        associations=[{"essay_id": batch.essays[1], "confirmed": True}],
        confirm_suggested={"min_confidence": 0.6},
    )
    [answer] = await stores.commands.apply_commands([delivery])
    assert (answer.status, answer.entity_ids) == (CommandStatus.APPLIED, (batch.id,))
    assert await decided(stores, batch) == [
        (Status.CONFIRMED, "First0 Last0"),
        (Status.CONFIRMED, "UNKNOWN STUDENT"),
        (Status.PENDING, None),
    ]


async def test_a_command_without_any_decision_is_rejected(stores: Stores) -> None:
    delivery = command("associations.confirm", batch_id=new_id())
    [answer] = await stores.commands.apply_commands([delivery])
    assert (answer.status, answer.error_code) == (CommandStatus.REJECTED, "VALIDATION_ERROR")
    assert [fault.pointer for fault in answer.errors] == ["/associations"]


# --- whatever is decided -------------------------------------------------------------------------

CONFIDENCES = (0.9, None, 0.5, 0.9, None)
STUDENTS = 3
NOBODY = "UNKNOWN STUDENT"

requests = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.integers(0, 4), st.booleans(), st.none() | st.integers(0, STUDENTS - 1)),
            max_size=3,
        ),
        st.none() | st.sampled_from([0.0, 0.5, 0.6, 0.9, 1.0]),
    ),
    min_size=1,
    max_size=4,
)
State = list[tuple[Status, str | None]]


def of(index: int | None) -> str | None:
    return None if index is None else f"First{index} Last{index}"


def modelled(state: State, listed: Given, minimum: float | None) -> State | None:
    """Say what a request leads to; None: it is refused."""
    after, named = list(state), dict[int, tuple[Status, str | None]]()
    for index, confirmed, student in listed:
        suggested = index % STUDENTS if CONFIDENCES[index] is not None else None
        target = of(student)
        if confirmed and target is None:
            target = of(suggested) or NOBODY
        wanted = (Status.CONFIRMED if confirmed else Status.REJECTED, target)
        if named.setdefault(index, wanted) != wanted:
            return None
        if state[index][0] is not Status.PENDING and state[index] != wanted:
            return None
        after[index] = wanted
    for index, confidence in enumerate(CONFIDENCES):
        is_free = state[index][0] is Status.PENDING and index not in named
        if minimum is not None and confidence is not None and is_free and confidence >= minimum:
            after[index] = (Status.CONFIRMED, of(index % STUDENTS))
    return after


async def play(stores: Stores, drawn: list[tuple[Given, float | None]]) -> None:
    room = await make_classroom(stores, STUDENTS)
    found = [
        result() if confidence is None else result(suggest(room.students[i % STUDENTS], confidence))
        for i, confidence in enumerate(CONFIDENCES)
    ]
    delivery = deliver(room.id, *found)
    await store_one(stores, delivery)
    await stores.published()
    batch = StoredBatch(room, delivery)
    state: State = [(Status.PENDING, None)] * len(CONFIDENCES)
    events = 0
    for listed, minimum in drawn:
        decisions = [
            HumanDecision(batch.essays[i], yes, None if s is None else room.students[s])
            for i, yes, s in listed
        ]
        expected = modelled(state, listed, minimum)
        try:
            await confirm(stores, batch, *decisions, minimum=minimum)
        except (ValidationFailedError, BatchConflictError):
            assert expected is None
            assert await stores.published() == []
        else:
            assert expected is not None
            state = expected
        assert await decided(stores, batch) == state
        events += len(await stores.published(topics.ASSOCIATIONS_CONFIRMED))
        assert events == all(status is not Status.PENDING for status, _ in state)


@given(requests)
def test_memory_decides_as_the_model(drawn: list[tuple[Given, float | None]]) -> None:
    async def run() -> None:
        async with memory_stores(Policy()) as stores:
            await play(stores, drawn)

    asyncio.run(run())


@settings(max_examples=12)
@given(requests)
def test_postgres_decides_as_the_model(
    migrated_database: str, drawn: list[tuple[Given, float | None]]
) -> None:
    async def run() -> None:
        async with postgres_stores(migrated_database, Policy()) as stores:
            await play(stores, drawn)

    asyncio.run(run())


async def test_confirming_who_has_left_is_a_conflict_where_it_is_decided_otherwise(
    stores: Stores,
) -> None:
    batch = await make_batch(stores, 0.5)
    student = batch.room.students[0]
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    leaving = StudentChange(remove_class_ids=(batch.room.id,))
    await stores.classes.update_student(batch.room.teacher, student, leaving)
    with pytest.raises(BatchConflictError):
        await confirm(stores, batch, yes(batch, 0))
