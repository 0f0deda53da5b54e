"""What a requested change makes of a class or a student; asking for what is so changes nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from uuid import UUID

from rules.errors import IdempotencyConflictError, ServiceError
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    NewClass,
    NewStudent,
    StudentChange,
    StudentRecord,
)

RecordT = TypeVar("RecordT", ClassRecord, StudentRecord)
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class NewClassRequest:
    """A request to make a class for `caller`."""

    caller: Caller
    new: NewClass


@dataclass(frozen=True, slots=True)
class NewStudentRequest:
    """A request to make a student for `caller`."""

    caller: Caller
    new: NewStudent


@dataclass(frozen=True, slots=True)
class Made(Generic[RecordT]):
    """What a request to make something led to; `is_new` is false where it was there already."""

    record: RecordT
    is_new: bool


def record_of(made: Made[RecordT] | ServiceError) -> RecordT | ServiceError:
    """Return what was made or was there already, else the refusal."""
    return made.record if isinstance(made, Made) else made


def existing_class(
    there: ClassRecord | None, request: NewClassRequest
) -> Made[ClassRecord] | ServiceError:
    """Answer a request whose id a class has already: it repeats what made it, or is refused.

    None: the class was there, and has been deleted since.
    """
    is_own = there is not None and there.owner_id == request.caller.user_id
    if there is not None and is_own and repeats_class(there, request.new):
        return Made(there, is_new=False)
    return IdempotencyConflictError()


def existing_student(
    there: StudentRecord, request: NewStudentRequest
) -> Made[StudentRecord] | ServiceError:
    """Answer a request whose id a student has already, as `existing_class` does."""
    is_own = there.owner_id == request.caller.user_id
    is_same = is_own and repeats_student(there, request.new)
    return Made(there, is_new=False) if is_same else IdempotencyConflictError()


def repeats_class(record: ClassRecord, new: NewClass) -> bool:
    """Whether a class is what a request with its id asks for."""
    return (record.name, record.course_code) == (new.name, new.course_code)


def repeats_student(record: StudentRecord, new: NewStudent) -> bool:
    """Whether a student is what a request with its id asks for.

    Classes that it has joined since do not make it another one.
    """
    same = (record.name, record.email) == (new.name, new.email)
    return same and set(new.class_ids) <= set(record.class_ids)


def changed_class(record: ClassRecord, change: ClassChange) -> ClassRecord | None:
    """Return the class as it becomes, None where nothing changes.

    `version` and `updated_at` are the store's to set.
    """
    name = record.name if change.name is None else change.name
    course_code = change.course_code or record.course_code
    if (name, course_code) == (record.name, record.course_code):
        return None
    return replace(record, name=name, course_code=course_code)


@dataclass(frozen=True, slots=True)
class StudentDiff:
    """A student as it becomes, and the classes that it joins and leaves."""

    record: StudentRecord
    joins: tuple[UUID, ...]
    leaves: tuple[UUID, ...]


def changed_student(record: StudentRecord, change: StudentChange) -> StudentDiff | None:
    """Return what changes of a student, None where nothing does.

    `version` and `updated_at` are the store's to set.
    """
    enrolled = set(record.class_ids)
    joins = tuple(c for c in change.add_class_ids if c not in enrolled)
    leaves = tuple(c for c in change.remove_class_ids if c in enrolled)
    changed = replace(
        record,
        name=change.name or record.name,
        email=change.email.email if change.email else record.email,
        class_ids=tuple(sorted(_without(enrolled, leaves) | set(joins))),
    )
    if not joins and not leaves and (changed.name, changed.email) == (record.name, record.email):
        return None
    return StudentDiff(changed, joins, leaves)


def _without(enrolled: set[UUID], leaves: Iterable[UUID]) -> set[UUID]:
    return enrolled.difference(leaves)


def distinct_runs(items: Iterable[ItemT], id_of: Callable[[ItemT], UUID]) -> list[list[ItemT]]:
    """Return the items in their order, parted before one whose id comes again.

    What one statement makes has distinct ids: the later of two needs to see what became of the
    earlier.
    """
    runs: list[list[ItemT]] = []
    seen: set[UUID] = set()
    for item in items:
        if not runs or id_of(item) in seen:
            runs.append([])
            seen.clear()
        runs[-1].append(item)
        seen.add(id_of(item))
    return runs
