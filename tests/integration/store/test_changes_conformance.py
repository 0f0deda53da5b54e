"""Every change is remembered as it is made: what there is follows from what is remembered."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.history import ChangeKind, Entity
from rules.models import (
    SYSTEM_AUTO,
    SYSTEM_TIMEOUT,
    Caller,
    ClassChange,
    EmailChange,
    ExternalIdChange,
    HumanDecision,
    NewClass,
    Policy,
    StudentChange,
    Trace,
)
from store.protocols.maintenance import Turnover
from tests.integration.store.builders import (
    A_DAY,
    MakeStores,
    Stores,
    caller,
    deliver,
    make_batch,
    make_class,
    make_classroom,
    new_student,
    parse,
    person,
    result,
    store_one,
    suggest,
)
from tests.support import past
from tests.support.past import Remembered
from tests.support.stores import memory_stores, postgres_stores

CREATED, UPDATED, DELETED = ChangeKind
PENDING: Final = {
    "student_id": None,
    "validation_status": "pending_validation",
    "validation_method": None,
    "validated_by": None,
}


async def of(stores: Stores, entity: Entity) -> list[Remembered]:
    """Return what is remembered of these entities, in order."""
    return [change for change in await stores.past.changes() if change.entity is entity]


# --- each change -------------------------------------------------------------------------------


async def test_a_class_is_remembered_from_its_creation_to_its_deletion(stores: Stores) -> None:
    teacher = caller()
    record = await make_class(stores, teacher)
    change = ClassChange(name="9B", external_id=ExternalIdChange('"9B"'))
    await stores.classes.update_class(teacher, record.id, change)
    await stores.classes.delete_class(teacher, record.id)
    old = {"name": record.name, "course_code": record.course_code}
    new = {**old, "name": "9B", "external_id": '"9B"'}
    assert await of(stores, Entity.CLASS) == [
        Remembered(
            owner_id=teacher.user_id,
            entity=Entity.CLASS,
            id=record.id,
            kind=kind,
            by=teacher.user_id,
            correlation_id=teacher.trace.correlation_id,
            class_id=record.id,
            version=version,
            before=before,
            after=after,
        )
        for kind, version, before, after in [
            (CREATED, 1, None, old),
            (UPDATED, 2, {**old, "external_id": None}, new),
            (DELETED, 2, new, None),
        ]
    ]


async def test_a_student_is_remembered_with_its_classes(stores: Stores) -> None:
    teacher = caller()
    first, second = await make_class(stores, teacher), await make_class(stores, teacher)
    new = new_student("Åsa", 'Öberg "Å"', "asa@school.example", [first.id])
    new = replace(new, external_id="Å 1")
    await stores.classes.create_students([NewStudentRequest(teacher, new)])
    change = StudentChange(
        email=EmailChange(None), add_class_ids=(second.id,), remove_class_ids=(first.id,)
    )
    await stores.classes.update_student(teacher, new.id, change)
    await stores.classes.delete_student(teacher, new.id)
    known = {
        "first_name": "Åsa",
        "last_name": 'Öberg "Å"',
        "full_name": new.name.legal_full_name,
        "external_id": "Å 1",
        "is_placeholder": False,
    }
    with_email = {**known, "email": "asa@school.example"}
    assert [(c.kind, c.version, c.before, c.after) for c in await of(stores, Entity.STUDENT)] == [
        (CREATED, 1, None, with_email),
        (UPDATED, 2, with_email, {**known, "email": None}),
        (DELETED, 2, known, None),
    ]
    assert [(c.kind, c.id, c.class_id) for c in await of(stores, Entity.ENROLLMENT)] == [
        (CREATED, new.id, first.id),
        (DELETED, new.id, first.id),
        (CREATED, new.id, second.id),
        (DELETED, new.id, second.id),
    ]


async def test_nothing_that_changes_nothing_is_remembered(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    before = await stores.past.changes()
    await stores.classes.update_class(room.teacher, room.id, ClassChange(name=room.record.name))
    await stores.classes.update_student(room.teacher, room.students[0], StudentChange())
    again = NewClass(room.id, room.record.name, room.record.course_code)
    await stores.classes.create_classes([NewClassRequest(room.teacher, again)])
    taken = new_student(email=f"s1.{room.id}@school.example")
    await stores.classes.create_students([NewStudentRequest(room.teacher, taken)])
    with contextlib.suppress(ServiceError):
        change = StudentChange(email=EmailChange(taken.email))
        await stores.classes.update_student(room.teacher, room.students[0], change)
    assert await stores.past.changes() == before


async def test_students_of_a_deleted_class_are_remembered_to_have_left(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    deleting = Caller(room.teacher.user_id, Trace(UUID(int=5)))
    await stores.classes.delete_class(deleting, room.id)
    gone = [c for c in await of(stores, Entity.ENROLLMENT) if c.kind is DELETED]
    assert {c.id for c in gone} == set(room.students)
    assert {(c.class_id, c.by, c.correlation_id) for c in gone} == {
        (room.id, room.teacher.user_id, UUID(int=5))
    }


async def test_suggestions_are_remembered_for_the_owner_and_the_message(
    make_stores: MakeStores,
) -> None:
    stores = await make_stores(Policy(auto_confirm=0.95))
    room = await make_classroom(stores, 3)
    sure, unsure = suggest(room.students[0], 0.99), suggest(room.students[1], 0.8)
    deliveries = [
        deliver(room.id, result(sure), result(unsure)),
        deliver(room.id, result()),
    ]
    await stores.inbox.store_suggestions(deliveries)
    remembered = {c.id: c for c in await of(stores, Entity.ASSOCIATION)}
    for delivery in deliveries:
        for found in delivery.message.results:
            change = remembered[found.essay_id]
            assert (change.kind, change.by, change.owner_id) == (
                CREATED,
                SYSTEM_AUTO,
                room.teacher.user_id,
            )
            assert change.correlation_id == delivery.message.trace.correlation_id
            assert change.class_id == room.id
            assert (change.before, change.after) == (None, None)


async def test_a_decision_is_remembered_with_who_made_it(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    teacher = Caller(batch.room.teacher.user_id, Trace(UUID(int=6)))
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(teacher, batch.id, [decision])
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    decided = {c.id: c for c in await of(stores, Entity.ASSOCIATION) if c.kind is UPDATED}
    by_human, by_clock = (decided[essay] for essay in batch.essays)
    assert (by_human.by, by_human.correlation_id) == (teacher.user_id, UUID(int=6))
    assert (by_human.before, by_human.after) == (
        PENDING,
        {
            "student_id": str(batch.room.students[0]),
            "validation_status": "confirmed",
            "validation_method": "human",
            "validated_by": teacher.user_id,
        },
    )
    assert (by_clock.by, by_clock.owner_id, by_clock.class_id) == (
        SYSTEM_TIMEOUT,
        teacher.user_id,
        batch.room.id,
    )
    assert by_clock.correlation_id == batch.delivery.message.trace.correlation_id
    assert (by_clock.before, by_clock.after) == (
        PENDING,
        {
            "student_id": str(batch.room.students[1]),
            "validation_status": "timeout_confirmed",
            "validation_method": "timeout",
            "validated_by": SYSTEM_TIMEOUT,
        },
    )


@pytest.mark.parametrize("by_clock", [True, False])
async def test_the_unknown_student_is_made_by_who_needs_it(
    stores: Stores, *, by_clock: bool
) -> None:
    batch = await make_batch(stores, None)
    teacher = batch.room.teacher
    before = len(await stores.past.changes())
    if by_clock:
        await stores.elapse(A_DAY)
        await stores.timers.decide_due([batch.id])
    else:
        nobody = HumanDecision(batch.essays[0], confirmed=True)
        await stores.associations.confirm(teacher, batch.id, [nobody])
    made = (await stores.past.changes())[before:]
    assert {(c.entity, c.owner_id, c.by) for c in made} == {
        (entity, teacher.user_id, SYSTEM_TIMEOUT if by_clock else teacher.user_id)
        for entity in (Entity.STUDENT, Entity.ENROLLMENT, Entity.ASSOCIATION)
    }


async def test_what_a_deleted_student_leaves_is_remembered(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.9)
    room = batch.room
    decided = HumanDecision(batch.essays[0], confirmed=True, student_id=room.students[1])
    await stores.associations.confirm(room.teacher, batch.id, [decided])
    await stores.classes.delete_student(room.teacher, room.students[1])
    updated = [c for c in await of(stores, Entity.ASSOCIATION) if c.kind is UPDATED][1:]
    first, second = (str(student) for student in room.students[:2])
    assert {c.id: (c.before, c.after) for c in updated} == {
        batch.essays[0]: (
            {"suggested_student_id": first, "student_id": second},
            {"suggested_student_id": first, "student_id": None},
        ),
        batch.essays[1]: (
            {"suggested_student_id": second, "confidence_score": 0.9},
            {"suggested_student_id": None, "confidence_score": 0.0},
        ),
    }
    assert {c.class_id for c in updated} == {room.id}


async def test_changes_are_forgotten_after_their_time(open_memory: Stores) -> None:
    stores = open_memory
    teacher = caller()
    record = await make_class(stores, teacher)
    await stores.elapse(timedelta(days=20))
    await stores.classes.update_class(teacher, record.id, ClassChange(name="9B"))
    await stores.elapse(timedelta(days=10))
    assert await stores.maintenance.turn_over_changes(timedelta(days=30)) == Turnover()
    assert [change.kind for change in await stores.past.changes()] == [UPDATED]


@pytest.fixture
async def open_memory() -> Any:  # noqa: ANN401  # what a generator of a fixture is
    """Open a store in memory: PostgreSQL drops whole weeks (tests/integration/postgres)."""
    async with memory_stores(Policy()) as stores:
        yield stores


# --- whatever is done in whatever order ----------------------------------------------------------

CLASSES: Final = [UUID(int=100 + i) for i in range(2)]
STUDENTS: Final = [UUID(int=200 + i) for i in range(4)]
BATCHES: Final = [UUID(int=300 + i) for i in range(2)]
ESSAYS: Final = [UUID(int=400 + i) for i in range(4)]
TEACHER: Final = Caller("teacher", Trace(UUID(int=1)))


@dataclass(frozen=True)
class Step:
    """Something that is done, and what with: numbers of the ids above."""

    name: str
    one: int
    other: int
    sure: float
    flag: bool

    async def do(self, stores: Stores) -> None:
        with contextlib.suppress(ServiceError):
            await getattr(self, self.name)(stores)

    @property
    def cls(self) -> UUID:
        return CLASSES[self.one % 2]

    @property
    def student(self) -> UUID:
        return STUDENTS[self.other]

    async def create_class(self, stores: Stores) -> None:
        new = NewClass(self.cls, "9A", "SV1")
        await stores.classes.create_classes([NewClassRequest(TEACHER, new)])

    async def update_class(self, stores: Stores) -> None:
        await stores.classes.update_class(TEACHER, self.cls, ClassChange(name=f"9{self.other}"))

    async def delete_class(self, stores: Stores) -> None:
        await stores.classes.delete_class(TEACHER, self.cls)

    async def create_student(self, stores: Stores) -> None:
        joined = (self.cls,) if self.flag else ()
        new = new_student("Åsa", "Öberg", f"{self.one}@school.example", joined, self.student)
        await stores.classes.create_students([NewStudentRequest(TEACHER, new)])

    async def update_student(self, stores: Stores) -> None:
        classes = (self.cls,)
        change = StudentChange(
            name=person("Åsa", f"B{self.one}") if self.sure > 0.8 else None,
            email=EmailChange(f"{self.one}@school.example" if self.flag else None),
            add_class_ids=classes if self.flag else (),
            remove_class_ids=() if self.flag else classes,
        )
        await stores.classes.update_student(TEACHER, self.student, change)

    async def delete_student(self, stores: Stores) -> None:
        await stores.classes.delete_student(TEACHER, self.student)

    async def suggest(self, stores: Stores) -> None:
        own = result(suggest(self.student, self.sure), essay_id=ESSAYS[self.one])
        nobody = result(essay_id=ESSAYS[self.other])
        found = [own, nobody] if self.flag else [own]
        await store_one(stores, deliver(self.cls, *found, batch_id=BATCHES[self.one // 2]))

    async def retry(self, stores: Stores) -> None:
        await stores.elapse(timedelta(seconds=61))
        await stores.inbox.retry_parked(parse, 10)

    async def confirm(self, stores: Stores) -> None:
        student = self.student if self.sure > 0.8 else None
        decision = HumanDecision(ESSAYS[self.one], confirmed=self.flag, student_id=student)
        await stores.associations.confirm(TEACHER, BATCHES[self.other // 2], [decision])

    async def decide(self, stores: Stores) -> None:
        if self.flag:
            await stores.elapse(A_DAY)
        await stores.timers.decide_due(BATCHES)


NAMES: Final = [name for name in vars(Step) if asyncio.iscoroutinefunction(getattr(Step, name))]
NAMES.remove("do")
steps = st.builds(
    Step,
    st.sampled_from([*NAMES, "create_class", "create_student", "create_student", "suggest"]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([0.5, 0.9, 1.0]),
    st.booleans(),
)
FIRST: Final = [
    *(Step("create_class", n, 0, 0.9, flag=True) for n in range(2)),
    *(Step("create_student", n, n, 0.9, flag=True) for n in range(4)),
]


async def remembered(
    opening: AbstractAsyncContextManager[Stores], done: Sequence[Step]
) -> Counter[tuple[Any, ...]]:
    """Do all this; return what is remembered, without the ids of UNKNOWN students."""
    async with opening as stores:
        for step in [*FIRST, *done]:
            await step.do(stores)
        await past.check(stores.past)
        return Counter((c.entity, c.kind, c.by, c.version) for c in await stores.past.changes())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(done=st.lists(steps, min_size=5, max_size=30), auto=st.sampled_from([None, 0.95]))
def test_whatever_is_done_what_there_is_follows_from_what_is_remembered(
    migrated_database: str, done: list[Step], auto: float | None
) -> None:
    policy = Policy(auto_confirm=auto)
    in_memory = asyncio.run(remembered(memory_stores(policy), done))
    assert asyncio.run(remembered(postgres_stores(migrated_database, policy), done)) == in_memory


# --- without it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "postgres"])
async def test_nothing_is_remembered_where_it_is_not_wanted(
    migrated_database: str, kind: str
) -> None:
    opening = (
        memory_stores(Policy(), changes=False)
        if kind == "memory"
        else postgres_stores(migrated_database, Policy(), changes=False)
    )
    async with opening as stores:
        for step in [*FIRST, *(Step(name, 0, 0, 0.9, flag=True) for name in NAMES)]:
            await step.do(stores)
        batch = await make_batch(stores, 0.9, 0.9)
        await stores.classes.delete_student(batch.room.teacher, batch.room.students[0])
        await stores.elapse(A_DAY)
        assert (await stores.timers.decide_due([batch.id])).essays == 2
        assert await stores.past.changes() == []
