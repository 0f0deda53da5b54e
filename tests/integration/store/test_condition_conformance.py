"""Writes that depend on a tag: what a store does with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

import pytest

from rules.changes import NewClassRequest
from rules.conditions import Condition
from rules.errors import (
    BatchConflictError,
    BatchNotFoundError,
    ClassNotFoundError,
    EmailConflictError,
    EssayNotFoundError,
    PlaceholderError,
    PreconditionFailedError,
    ServiceError,
    StudentNotFoundError,
    ValidationFailedError,
)
from rules.ids import new_id
from rules.models import (
    Caller,
    ClassChange,
    ClassDetail,
    ClassRecord,
    EmailChange,
    HumanDecision,
    Policy,
    StudentChange,
)
from rules.tags import association_tag, batch_tag, class_tag, student_tag, tag_of
from tests.integration.store.builders import (
    A_DAY,
    MakeStores,
    Stores,
    caller,
    make_batch,
    new_class,
    person,
)

STALE: Final = Condition(frozenset({"stale"}))
TagOf: TypeAlias = Callable[["World"], Awaitable[str]]
Write: TypeAlias = Callable[["World", Condition | None], Awaitable[object]]


@dataclass(frozen=True)
class World:
    """A teacher's class with a batch: one essay is decided and one is not."""

    stores: Stores
    teacher: Caller
    class_id: UUID
    student_id: UUID
    batch_id: UUID
    decided_id: UUID
    pending_id: UUID


@pytest.fixture
async def world(stores: Stores) -> World:
    batch = await make_batch(stores, 0.9, 0.8)
    room = batch.room
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(room.teacher, batch.id, [decision])
    await stores.published()
    return World(stores, room.teacher, room.id, room.students[0], batch.id, *batch.essays)


async def tag_of_class(world: World) -> str:
    document = await world.stores.classes.class_document(world.teacher.user_id, world.class_id)
    return tag_of(document)


async def tag_of_student(world: World) -> str:
    classes = world.stores.classes
    return student_tag(await classes.get_student(world.teacher.user_id, world.student_id))


async def tag_of_batch(world: World) -> str:
    associations = world.stores.associations
    return batch_tag(await associations.get_batch(world.teacher.user_id, world.batch_id))


async def tag_of_association(world: World) -> str:
    associations = world.stores.associations
    named = world.teacher.user_id, world.batch_id, world.decided_id
    return association_tag(await associations.get_association(*named))


RENAMED: Final = StudentChange(name=person("Eva", "Ek"))
WRITES: Final[dict[str, tuple[TagOf, Write, type[ServiceError]]]] = {
    "update_class": (
        tag_of_class,
        lambda w, condition: w.stores.classes.update_class(
            w.teacher, w.class_id, ClassChange(name="9B"), condition
        ),
        ClassNotFoundError,
    ),
    "delete_class": (
        tag_of_class,
        lambda w, condition: w.stores.classes.delete_class(w.teacher, w.class_id, condition),
        ClassNotFoundError,
    ),
    "update_student": (
        tag_of_student,
        lambda w, condition: w.stores.classes.update_student(
            w.teacher, w.student_id, RENAMED, condition
        ),
        StudentNotFoundError,
    ),
    "delete_student": (
        tag_of_student,
        lambda w, condition: w.stores.classes.delete_student(w.teacher, w.student_id, condition),
        StudentNotFoundError,
    ),
    "confirm": (
        tag_of_batch,
        lambda w, condition: w.stores.associations.confirm(
            w.teacher, w.batch_id, [HumanDecision(w.pending_id, confirmed=True)], None, condition
        ),
        BatchNotFoundError,
    ),
    "correct": (
        tag_of_association,
        lambda w, condition: w.stores.associations.correct(
            w.teacher, w.batch_id, w.decided_id, None, condition
        ),
        BatchNotFoundError,
    ),
}
writes = pytest.mark.parametrize(("tag", "write", "absent"), WRITES.values(), ids=WRITES)


@writes
async def test_a_fresh_tag_lets_it_through_and_is_stale_then(
    world: World, tag: TagOf, write: Write, absent: type[ServiceError]
) -> None:
    condition = Condition(frozenset({"another", await tag(world)}))
    await write(world, condition)
    assert await world.stores.published() != []
    with pytest.raises((PreconditionFailedError, absent)):
        await write(world, condition)
    assert await world.stores.published() == []


@writes
async def test_any_other_tag_changes_nothing(
    world: World,
    tag: TagOf,
    write: Write,
    absent: type[ServiceError],  # noqa: ARG001  # of the table
) -> None:
    before = [await one(world) for one, _, _ in WRITES.values()]
    for condition in (STALE, Condition(frozenset())):
        with pytest.raises(PreconditionFailedError):
            await write(world, condition)
    assert [await one(world) for one, _, _ in WRITES.values()] == before
    assert await tag(world) in before
    assert await world.stores.published() == []


@writes
async def test_what_is_absent_is_absent_whatever_the_condition(
    world: World, tag: TagOf, write: Write, absent: type[ServiceError]
) -> None:
    fresh = Condition(frozenset({await tag(world)}))
    nowhere = World(world.stores, world.teacher, *(new_id() for _ in range(5)))
    others = World(
        world.stores,
        caller("other"),
        world.class_id,
        world.student_id,
        world.batch_id,
        world.decided_id,
        world.pending_id,
    )
    for condition in (STALE, fresh):
        for there in (nowhere, others):
            with pytest.raises(absent):
                await write(there, condition)
    with pytest.raises(EssayNotFoundError):
        await world.stores.associations.correct(
            world.teacher, world.batch_id, new_id(), None, STALE
        )


async def test_the_condition_comes_before_what_else_is_wrong(world: World) -> None:
    classes, associations, teacher = world.stores.classes, world.stores.associations, world.teacher
    taken = StudentChange(email=EmailChange(f"s1.{world.class_id}@school.example"))
    nowhere = StudentChange(add_class_ids=(new_id(),))
    refused: list[tuple[type[ServiceError], TagOf, Callable[[Condition], Awaitable[object]]]] = [
        (
            EmailConflictError,
            tag_of_student,
            lambda c: classes.update_student(teacher, world.student_id, taken, c),
        ),
        (
            ClassNotFoundError,
            tag_of_student,
            lambda c: classes.update_student(teacher, world.student_id, nowhere, c),
        ),
        (
            BatchConflictError,
            tag_of_batch,
            lambda c: associations.confirm(
                teacher, world.batch_id, [HumanDecision(world.decided_id, confirmed=False)], None, c
            ),
        ),
        (
            ValidationFailedError,
            tag_of_association,
            lambda c: associations.correct(teacher, world.batch_id, world.decided_id, new_id(), c),
        ),
    ]
    for error, tag, write in refused:
        with pytest.raises(error):
            await write(Condition(frozenset({await tag(world)})))
        with pytest.raises(PreconditionFailedError):
            await write(STALE)


async def test_the_condition_on_an_unknown_student_comes_first(make_stores: MakeStores) -> None:
    stores = await make_stores(Policy())
    batch = await make_batch(stores, None)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    teacher = batch.room.teacher
    detail = await stores.rosters.get_class(teacher.user_id, batch.room.id)
    [unknown] = [student for student in detail.students if student.is_placeholder]
    fresh = Condition(frozenset({student_tag(unknown)}))
    for condition, error in ((STALE, PreconditionFailedError), (fresh, PlaceholderError)):
        with pytest.raises(error):
            await stores.classes.delete_student(teacher, unknown.id, condition)
        with pytest.raises(error):
            await stores.classes.update_student(teacher, unknown.id, RENAMED, condition)


async def test_the_condition_of_what_changes_nothing_counts(world: World) -> None:
    classes, teacher = world.stores.classes, world.teacher
    with pytest.raises(PreconditionFailedError):
        await classes.update_class(teacher, world.class_id, ClassChange(), STALE)
    with pytest.raises(PreconditionFailedError):
        await classes.update_student(teacher, world.student_id, StudentChange(), STALE)
    again = HumanDecision(world.decided_id, confirmed=True)
    with pytest.raises(PreconditionFailedError):
        await world.stores.associations.confirm(teacher, world.batch_id, [again], None, STALE)


async def test_a_changed_class_has_the_tag_and_the_students_that_are_read(world: World) -> None:
    for change in (ClassChange(name='9"B\\Å'), ClassChange(), ClassChange(course_code="ENG5")):
        changed = await world.stores.classes.update_class(world.teacher, world.class_id, change)
        assert changed.tag == await tag_of_class(world)
        detail = await world.stores.rosters.get_class(world.teacher.user_id, world.class_id)
        assert changed.record == detail.record
        assert changed.tag == class_tag(detail)


async def test_a_new_class_has_the_tag_that_is_read(stores: Stores) -> None:
    teacher = caller()
    [made] = await stores.classes.create_classes([NewClassRequest(teacher, new_class('9"A\\Å'))])
    assert isinstance(made, ClassRecord)
    document = await stores.classes.class_document(teacher.user_id, made.id)
    assert class_tag(ClassDetail(made, ())) == tag_of(document)
