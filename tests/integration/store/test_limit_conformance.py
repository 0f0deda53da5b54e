"""A class has at most 2,000 students and a student 200 classes: what every store promises."""

from collections.abc import Sequence
from typing import Any

import pytest

from rules.changes import NewClassRequest, NewStudentRequest
from rules.commands.results import CommandStatus
from rules.errors import ServiceError, ValidationFailedError
from rules.ids import new_id
from rules.limits import MAX_CLASSES, MAX_STUDENTS
from rules.models import ClassRecord, Policy, StudentChange, StudentRecord
from tests.integration.store.builders import (
    Stores,
    caller,
    deliver,
    make_class,
    make_student,
    new_class,
    new_student,
    result,
    store_one,
)
from tests.support.commands import TEACHER, student
from tests.support.commands import deliver as command

APPLIED, DUPLICATE, REJECTED = CommandStatus


async def fill(stores: Stores, cls: ClassRecord, count: int) -> list[StudentRecord]:
    """Make so many students of a class."""
    made: list[StudentRecord | ServiceError] = []
    while len(made) < count:
        wanted = [
            new_student(email=f"s{len(made) + n}@b.example", class_ids=[cls.id])
            for n in range(min(1000, count - len(made)))
        ]
        made += await stores.classes.create_students(
            [NewStudentRequest(caller(), one) for one in wanted]
        )
    found = [one for one in made if isinstance(one, StudentRecord)]
    assert len(found) == count
    return found


async def register(stores: Stores, cls: ClassRecord, *rows: object) -> Any:  # noqa: ANN401
    given = command("roster.register", class_id=cls.id, students=rows)
    [answer] = await stores.commands.apply_commands([given])
    return answer


def pointers(refused: object) -> list[str]:
    assert isinstance(refused, ValidationFailedError)
    return [fault.pointer for fault in refused.errors]


async def size(stores: Stores, cls: ClassRecord) -> int:
    return len(await stores.rosters.roster(cls.id, TEACHER))


async def test_a_class_takes_two_thousand_students(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    pupils = await fill(stores, cls, MAX_STUDENTS - 2)
    loose = await make_student(stores, caller(), new_student(email="loose@b.example"))
    await stores.published()
    # Of three new ones there is room for two; who is there already takes none.
    there = student("S0@b.example", class_ids=[cls.id])
    late = [student(f"late{n}@b.example") for n in range(3)]
    refused = await register(stores, cls, there, *late, student("late0@b.example"))
    assert (refused.status, refused.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert [fault.pointer for fault in refused.errors] == ["/class_id"]
    assert await size(stores, cls) == MAX_STUDENTS - 2
    taken = await register(stores, cls, there, *late[:2], student("LATE0@b.example"))
    assert (taken.status, taken.entity_ids[0]) == (APPLIED, pupils[0].id)
    assert await size(stores, cls) == MAX_STUDENTS
    # Full: for whoever is made, joins or is moved, and for nobody else.
    requests = [
        NewStudentRequest(caller(), new_student(class_ids=[cls.id])),
        NewStudentRequest(caller(), new_student("Elsewhere")),
    ]
    full, elsewhere = await stores.classes.create_students(requests)
    assert pointers(full) == ["/class_ids"]
    assert isinstance(elsewhere, StudentRecord)
    joining = student("loose@b.example", class_ids=[cls.id])
    [refused] = await stores.commands.apply_commands([command("student.create", **joining)])
    assert (refused.status, refused.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert [fault.pointer for fault in refused.errors] == ["/class_ids"]
    with pytest.raises(ValidationFailedError) as moved:
        await stores.classes.update_student(
            caller(), loose.id, StudentChange(add_class_ids=(cls.id,))
        )
    assert pointers(moved.value) == ["/add_class_ids"]
    again = await register(stores, cls, there)
    assert again.status is APPLIED
    change = StudentChange(add_class_ids=(cls.id,), remove_class_ids=())
    assert await stores.classes.update_student(caller(), pupils[1].id, change) == pupils[1]
    assert await size(stores, cls) == MAX_STUDENTS


async def test_the_clock_gives_a_full_class_its_unknown_student(make_stores: Any) -> None:  # noqa: ANN401
    policy = Policy()
    stores: Stores = await make_stores(policy)
    cls = await make_class(stores, caller())
    await fill(stores, cls, MAX_STUDENTS)
    batch = deliver(cls.id, result())
    await store_one(stores, batch)
    await stores.elapse(policy.timeout)
    await stores.timers.decide_due([batch.message.batch_id])
    [decided] = await stores.queries.student_names(batch.message.batch_id)
    assert decided.name.first_name == "UNKNOWN"


async def make_classes(stores: Stores, count: int) -> list[ClassRecord]:
    wanted = [NewClassRequest(caller(), new_class()) for _ in range(count)]
    made = await stores.classes.create_classes(wanted)
    return [one for one in made if isinstance(one, ClassRecord)]


def ids(classes: Sequence[ClassRecord]) -> tuple[Any, ...]:
    return tuple(cls.id for cls in classes)


async def test_a_student_is_in_two_hundred_classes(stores: Stores) -> None:
    classes = await make_classes(stores, MAX_CLASSES + 1)
    too_many = new_student(email="x@b.example", class_ids=ids(classes))
    fits = new_student(email="x@b.example", class_ids=ids(classes[:-2]))
    requests = [NewStudentRequest(caller(), one) for one in (too_many, fits)]
    refused, made = await stores.classes.create_students(requests)
    assert pointers(refused) == ["/class_ids"]
    assert isinstance(made, StudentRecord)
    with pytest.raises(ValidationFailedError) as conflict:
        await stores.classes.update_student(
            caller(), made.id, StudentChange(add_class_ids=ids(classes[-2:]))
        )
    assert pointers(conflict.value) == ["/add_class_ids"]
    joins = [student("x@b.example", class_ids=ids([cls])) for cls in classes[-2:]]
    results = await stores.commands.apply_commands(
        [command("student.create", **one) for one in joins]
    )
    assert [one.status for one in results] == [APPLIED, REJECTED]
    assert results[1].errors[0].pointer == "/class_ids"
    assert len((await stores.classes.get_student(TEACHER, made.id)).class_ids) == MAX_CLASSES
    # A place that is given up is free for another.
    change = StudentChange(add_class_ids=ids(classes[-1:]), remove_class_ids=ids(classes[:1]))
    moved = await stores.classes.update_student(caller(), made.id, change)
    assert len(moved.class_ids) == MAX_CLASSES
    given = command("student.create", **student("y@b.example", new_id(), class_ids=ids(classes)))
    [answer] = await stores.commands.apply_commands([given])
    assert (answer.status, answer.error_code) == (REJECTED, "VALIDATION_ERROR")


async def test_who_is_there_is_looked_for_before_classes_are_counted(stores: Stores) -> None:
    """The refusals of too many classes are those of new students, in their order."""
    unknown_ids = tuple(new_id() for _ in range(MAX_CLASSES + 1))
    pupil = await make_student(stores, caller(), new_student(email="own@b.example"))
    classes = ids(await make_classes(stores, MAX_CLASSES + 1))
    requests = [
        NewStudentRequest(caller(), one)
        for one in (
            new_student(class_ids=unknown_ids),
            new_student(email="own@b.example", class_ids=classes),
            new_student(email="new@b.example", class_ids=classes),
            new_student(email="new@b.example"),
            new_student(email="new@b.example", class_ids=classes),
        )
    ]
    made = await stores.classes.create_students(requests)
    assert [getattr(one, "error_code", None) for one in made] == [
        "CLASS_NOT_FOUND",
        "STUDENT_EMAIL_CONFLICT",
        "VALIDATION_ERROR",
        None,
        "STUDENT_EMAIL_CONFLICT",
    ]
    named = [command("student.create", **student(None, pupil.id, class_ids=unknown_ids))]
    named += [command("student.create", **student(None, pupil.id, class_ids=classes))]
    results = await stores.commands.apply_commands(named)
    assert [one.error_code for one in results] == ["CLASS_NOT_FOUND", "VALIDATION_ERROR"]


async def test_nobody_is_the_unknown_student_of_two_hundred_classes(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    batch = deliver(cls.id, result())
    await store_one(stores, batch)
    await stores.elapse(Policy().timeout)
    await stores.timers.decide_due([batch.message.batch_id])
    [unknown] = await stores.queries.student_names(batch.message.batch_id)
    classes = ids(await make_classes(stores, MAX_CLASSES + 1))
    given = student(None, unknown.student_id, class_ids=classes)
    [answer] = await stores.commands.apply_commands([command("student.create", **given)])
    assert (answer.status, answer.error_code) == (REJECTED, "PLACEHOLDER_STUDENT")


async def test_who_was_in_more_classes_before_there_was_a_limit_is_found(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = ids(await make_classes(stores, MAX_CLASSES + 2))
    with monkeypatch.context() as older:
        for module in ("rules.limits", "rules.joining"):
            older.setattr(f"{module}.MAX_CLASSES", MAX_CLASSES + 1)
        wanted = new_student(email="old@b.example", class_ids=classes[:-1])
        pupil = await make_student(stores, caller(), wanted)
    assert len(pupil.class_ids) == MAX_CLASSES + 1
    same = student("old@b.example", pupil.id, class_ids=classes[:-1])
    by_email = student("old@b.example", class_ids=classes[:-1])
    more = student("old@b.example", class_ids=classes)
    results = await stores.commands.apply_commands(
        [command("student.create", **one) for one in (same, by_email, more)]
    )
    assert [one.status for one in results] == [DUPLICATE, APPLIED, REJECTED]
    assert results[2].error_code == "VALIDATION_ERROR"
    repeated = command("roster.register", class_id=classes[0], students=[same])
    [answer] = await stores.commands.apply_commands([repeated])
    assert answer.status is DUPLICATE
