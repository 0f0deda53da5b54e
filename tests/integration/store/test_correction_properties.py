"""Confirming, correcting, merging and the clock in any order: both stores do the same.

And whoever waits for a batch hears of its end once.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.models import (
    Caller,
    HumanDecision,
    MatchResult,
    NewClass,
    NewStudent,
    Policy,
    StudentChange,
    Trace,
)
from tests.integration.store.builders import Published, Stores, deliver, person, suggest
from tests.support.stores import memory_stores, postgres_stores

TEACHER: Final = Caller("teacher-1", Trace(UUID(int=7)))
CLASS: Final = UUID(int=100)
STUDENTS: Final = [UUID(int=200 + i) for i in range(4)]
BATCHES: Final = [UUID(int=300 + i) for i in range(2)]
#: The essays of the first batch, then those of the second.
ESSAYS: Final = [UUID(int=400 + i) for i in range(4)]
#: What correcting and merging tell, and what they may change of what others tell.
TOLD: Final = {
    topics.ASSOCIATIONS_CONFIRMED,
    topics.ASSOCIATION_UPDATED,
    topics.TIMEOUT_PROCESSED,
    topics.STUDENT_UPDATED,
    topics.STUDENT_DELETED,
}
VOLATILE: Final = {"timestamp", "validated_at", "confirm_by", "armed_at", "processing_timestamp"}


@dataclass(frozen=True)
class Confirm:
    essay: int
    confirmed: bool
    student: int | None

    async def take(self, stores: Stores) -> None:
        student_id = None if self.student is None else STUDENTS[self.student]
        decision = HumanDecision(ESSAYS[self.essay], self.confirmed, student_id)
        await stores.associations.confirm(TEACHER, BATCHES[self.essay // 2], [decision])


@dataclass(frozen=True)
class Correct:
    essay: int
    student: int | None

    async def take(self, stores: Stores) -> None:
        student_id = None if self.student is None else STUDENTS[self.student]
        batch_id, essay_id = BATCHES[self.essay // 2], ESSAYS[self.essay]
        await stores.associations.correct(TEACHER, batch_id, essay_id, student_id)


@dataclass(frozen=True)
class Merge:
    gone: int
    into: int

    async def take(self, stores: Stores) -> None:
        await stores.classes.merge_students(TEACHER, STUDENTS[self.gone], STUDENTS[self.into])


@dataclass(frozen=True)
class Leave:
    student: int

    async def take(self, stores: Stores) -> None:
        change = StudentChange(remove_class_ids=(CLASS,))
        await stores.classes.update_student(TEACHER, STUDENTS[self.student], change)


@dataclass(frozen=True)
class Delete:
    student: int

    async def take(self, stores: Stores) -> None:
        await stores.classes.delete_student(TEACHER, STUDENTS[self.student])


@dataclass(frozen=True)
class Elapse:
    """The first essay of each batch is due after one hour, the second after two."""

    async def take(self, stores: Stores) -> None:
        await stores.elapse(timedelta(hours=1))
        await stores.timers.decide_due(BATCHES)


Step: TypeAlias = Confirm | Correct | Merge | Leave | Delete | Elapse

essays = st.integers(0, len(ESSAYS) - 1)
some_students = st.integers(0, len(STUDENTS) - 1)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Confirm, essays, st.booleans(), st.none() | some_students),
    st.builds(Correct, essays, st.none() | some_students),
    st.builds(Correct, essays, st.none() | some_students),
    st.builds(Merge, some_students, some_students),
    st.builds(Elapse),
    st.builds(Leave, some_students),
    st.builds(Delete, some_students),
)


async def prepare(stores: Stores) -> None:
    await stores.classes.create_classes([NewClassRequest(TEACHER, NewClass(CLASS, "9A", "SV1"))])
    wanted = [
        NewStudent(student_id, person(f"First{i}", "Last"), f"s{i}@x.example", (CLASS,))
        for i, student_id in enumerate(STUDENTS)
    ]
    await stores.classes.create_students([NewStudentRequest(TEACHER, new) for new in wanted])
    for turn in range(2):
        for number, batch_id in enumerate(BATCHES):
            essay = 2 * number + turn
            found = suggest(STUDENTS[essay], 0.9 if number else 0.3)
            result = MatchResult(ESSAYS[essay], (found,))
            await stores.inbox.store_suggestions([deliver(CLASS, result, batch_id=batch_id)])
        await stores.elapse(timedelta(hours=1))
    await stores.elapse(timedelta(hours=21))
    await stores.published()


async def outcome(stores: Stores, taken: Sequence[Step]) -> tuple[Any, ...]:
    """Return what each step is answered with, what there is afterwards, and what was told."""
    await prepare(stores)
    answers = []
    for step in taken:
        try:
            await step.take(stores)
        except ServiceError as refusal:
            answers.append(refusal.error_code)
        else:
            answers.append("done")
    published = await stores.published()
    await check(stores, published)
    return answers, await standing(stores), said(published)


async def check(stores: Stores, published: Sequence[Published]) -> None:
    """Check that a batch closes once, and that what was told last of an essay is what stands."""
    confirmed = Counter(one.key for one in published if one.topic == topics.ASSOCIATIONS_CONFIRMED)
    assert set(confirmed.values()) <= {1}
    states = await stores.timers.batch_states(BATCHES)
    closed = {str(state.batch_id) for state in states if state.closed_at is not None}
    assert closed == confirmed.keys()
    assert all((state.pending_count == 0) == (state.closed_at is not None) for state in states)
    told: dict[str, str | None] = {}
    for one in published:
        if one.topic == topics.ASSOCIATIONS_CONFIRMED:
            told |= {a["essay_id"]: a["student_id"] for a in one.data["associations"]}
        elif one.topic == topics.ASSOCIATION_UPDATED:
            told[one.data["essay_id"]] = one.data["student_id"]
    deleted = {one.data["student_id"] for one in published if one.topic == topics.STUDENT_DELETED}
    names = [n for batch_id in BATCHES for n in await stores.queries.student_names(batch_id)]
    stands = {str(n.essay_id): str(n.student_id) for n in names}
    for essay_id, student_id in told.items():
        expected = None if student_id in deleted else student_id
        assert stands.get(essay_id) == expected


async def standing(stores: Stores) -> Any:  # noqa: ANN401  # compared only
    found = []
    for batch_id in BATCHES:
        view = await stores.associations.get_batch(TEACHER.user_id, batch_id)
        for shown in sorted(view.associations, key=lambda a: a.association.essay_id):
            a = shown.association
            past = await stores.associations.history(TEACHER.user_id, batch_id, a.essay_id)
            # The UNKNOWN student has an id of its own in each store.
            found.append(
                (
                    *(a.essay_id, a.suggested_student_id, _known(a.student_id), shown.student_name),
                    *(a.status, a.method, a.validated_by),
                    [(p.status, p.method, _known(p.student_id), p.by) for p in past],
                )
            )
    return found


def _known(student_id: UUID | None) -> UUID | str | None:
    return student_id if student_id in (*STUDENTS, None) else "UNKNOWN"


def said(published: Sequence[Published]) -> dict[Any, list[Any]]:
    """Return what was told under each key, in its order."""
    found: dict[Any, list[Any]] = {}
    for one in published:
        if one.topic in TOLD:
            found.setdefault((one.topic, one.key), []).append(_without(one.data))
    return found


def _without(value: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, dict):
        return {k: _without(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [_without(one) for one in value]
    if isinstance(value, str) and value.count("-") == 4 and not value.startswith("00000000"):
        return "made here"
    return value


async def in_memory(taken: Sequence[Step]) -> tuple[Any, ...]:
    async with memory_stores(Policy()) as stores:
        return await outcome(stores, taken)


async def on_postgres(dsn: str, taken: Sequence[Step]) -> tuple[Any, ...]:
    async with postgres_stores(dsn, Policy()) as stores:
        return await outcome(stores, taken)


@settings(deadline=None)
@given(st.lists(steps, min_size=4, max_size=25))
def test_a_batch_ends_once_whatever_is_mended(taken: list[Step]) -> None:
    asyncio.run(in_memory(taken))


@settings(max_examples=15, deadline=None)
@given(taken=st.lists(steps, min_size=4, max_size=25))
def test_both_stores_mend_alike(migrated_database: str, taken: list[Step]) -> None:
    alike = asyncio.run(in_memory(taken))
    assert asyncio.run(on_postgres(migrated_database, taken)) == alike
