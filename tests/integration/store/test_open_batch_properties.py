"""Whatever teachers, classes and students do: every accepted batch closes, with one event."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.models import HumanDecision, Policy, StudentChange
from rules.suggestions import Outcome
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    caller,
    deliver,
    new_class,
    new_student,
    parse,
    result,
    store_one,
    suggest,
)
from tests.support.stores import memory_stores, postgres_stores

#: Does one thing; returns what the service answers.
Step: TypeAlias = Callable[[Stores], Awaitable[object]]

TEACHER: Final = caller()
CLASSES: Final = [UUID(int=100 + i) for i in range(2)]
STUDENTS: Final = [UUID(int=200 + i) for i in range(3)]
BATCHES: Final = [UUID(int=300 + i) for i in range(3)]
ESSAYS: Final = [UUID(int=400 + i) for i in range(4)]
TAKEN: Final = {Outcome.STORED, Outcome.CLOSED, Outcome.NOTHING_NEW}

classes = st.sampled_from(CLASSES)
students = st.sampled_from(STUDENTS)
batches = st.sampled_from(BATCHES)
essays = st.sampled_from(ESSAYS)


def create_class(class_id: UUID) -> Step:
    request = NewClassRequest(TEACHER, new_class(class_id=class_id))
    return lambda stores: stores.classes.create_classes([request])


def create_student(student_id: UUID, joined: set[UUID]) -> Step:
    new = new_student(student_id=student_id, class_ids=sorted(joined))
    return lambda stores: stores.classes.create_students([NewStudentRequest(TEACHER, new)])


def send(class_id: UUID, batch_id: UUID, pairs: Sequence[tuple[UUID, UUID]]) -> Step:
    found = [result(suggest(student), essay_id=essay) for essay, student in pairs]

    async def step(stores: Stores) -> UUID | None:
        outcome = await store_one(stores, deliver(class_id, *found, batch_id=batch_id))
        return batch_id if outcome in TAKEN else None

    return step


def decide(batch_id: UUID, decision: HumanDecision) -> Step:
    return lambda stores: stores.associations.confirm(TEACHER, batch_id, [decision])


def move(student_id: UUID, joins: set[UUID], leaves: set[UUID]) -> Step:
    change = StudentChange(
        add_class_ids=tuple(joins - leaves), remove_class_ids=tuple(leaves - joins)
    )
    return lambda stores: stores.classes.update_student(TEACHER, student_id, change)


def delete_student(student_id: UUID) -> Step:
    return lambda stores: stores.classes.delete_student(TEACHER, student_id)


def delete_class(class_id: UUID) -> Step:
    return lambda stores: stores.classes.delete_class(TEACHER, class_id)


def elapse(seconds: int) -> Step:
    return lambda stores: stores.elapse(timedelta(seconds=seconds))


async def let_the_clock_decide(stores: Stores) -> None:
    await stores.timers.decide_due(await stores.timers.overdue(10, 0))


async def close_what_nobody_decides(stores: Stores) -> None:
    await stores.open_batches.settle(10)


async def retry_what_waits(stores: Stores) -> None:
    await stores.inbox.retry_parked(parse, 10)


creations = st.one_of(
    st.builds(create_class, classes),
    st.builds(create_student, students, st.sets(classes)),
    st.builds(send, classes, batches, st.lists(st.tuples(essays, students), max_size=3)),
)
steps = st.one_of(
    creations,
    creations,
    st.builds(
        decide, batches, st.builds(HumanDecision, essays, st.booleans(), st.none() | students)
    ),
    st.builds(move, students, st.sets(classes), st.sets(classes)),
    st.builds(delete_student, students),
    st.builds(delete_class, classes),
    st.builds(elapse, st.sampled_from([1, 3600, 12 * 3600, 24 * 3600])),
    st.sampled_from([let_the_clock_decide, close_what_nobody_decides, retry_what_waits]),
)


async def closes_all(stores: Stores, story: Sequence[Step]) -> None:
    accepted: set[object] = set()
    for step in story:
        with contextlib.suppress(ServiceError):
            answer = await step(stores)
            accepted |= {answer} if isinstance(answer, UUID) else set()
    # What waits is stored or given up; then the last deadline comes.
    await stores.elapse(timedelta(seconds=61))
    await retry_what_waits(stores)
    await stores.elapse(A_DAY)
    await let_the_clock_decide(stores)
    await close_what_nobody_decides(stores)
    states = await stores.timers.batch_states(BATCHES)
    assert accepted <= {state.batch_id for state in states}
    assert all(state.closed_at and not state.pending_count for state in states)
    confirmed = await stores.published(topics.ASSOCIATIONS_CONFIRMED)
    assert sorted(str(one.key) for one in confirmed) == sorted(str(s.batch_id) for s in states)
    # Nothing of this version waits for the look at all open batches.
    assert await stores.open_batches.settle_idle(10) == []


@pytest.mark.parametrize("kind", ["memory", "postgres"])
@given(story=st.lists(steps, max_size=20))
@settings(max_examples=60, deadline=None)
def test_every_accepted_batch_closes_with_its_last_deadline(
    migrated_database: str, kind: str, story: list[Any]
) -> None:
    async def run() -> None:
        opened = (
            memory_stores(Policy())
            if kind == "memory"
            else postgres_stores(migrated_database, Policy())
        )
        async with opened as stores:
            await closes_all(stores, story)

    asyncio.run(run())
