"""What a class or a student becomes by a requested change, which may change nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from uuid import UUID

from rules.errors import IdempotencyConflictError, PlaceholderError, ServiceError
from rules.limits import check_classes
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    NewClass,
    NewStudent,
    StudentChange,
    StudentRecord,
)
from rules.text import normalised

RecordT = TypeVar("RecordT", ClassRecord, StudentRecord)
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class NewClassRequest:
    """A request to create a class for `caller`."""

    caller: Caller
    new: NewClass


@dataclass(frozen=True, slots=True)
class NewStudentRequest:
    """A request to create a student for `caller`; `by` is who does it for the caller, if any."""

    caller: Caller
    new: NewStudent
    by: str | None = None

    @property
    def made_by(self) -> str:
        """Who is remembered to have created the student."""
        return self.by or self.caller.user_id


@dataclass(frozen=True, slots=True)
class Created(Generic[RecordT]):
    """The record that a request asked for; `is_new` is false if it existed already."""

    record: RecordT
    is_new: bool


def record_of(made: Created[RecordT] | ServiceError) -> RecordT | ServiceError:
    """Return the new or existing record, else the refusal."""
    return made.record if isinstance(made, Created) else made


def existing_class(
    existing: ClassRecord | None, request: NewClassRequest
) -> Created[ClassRecord] | ServiceError:
    """Answer a request whose id is taken: a repetition succeeds, all else is refused.

    `existing` is None if the class has been deleted since. An earlier version may have stored its
    name as it was sent.
    """
    if existing is None or existing.owner_id != request.caller.user_id:
        return IdempotencyConflictError()
    wanted = request.new.name, request.new.course_code
    is_same = (normalised(existing.name), existing.course_code) == wanted
    return Created(existing, is_new=False) if is_same else IdempotencyConflictError()


def changed_class(record: ClassRecord, change: ClassChange) -> ClassRecord | None:
    """Return the changed class, None if nothing changes. The store sets version and time."""
    name = record.name if change.name is None else change.name
    course_code = change.course_code or record.course_code
    if (name, course_code) == (record.name, record.course_code):
        return None
    return replace(record, name=name, course_code=course_code)


def refuse_placeholder(record: StudentRecord) -> None:
    """Raise PlaceholderError for the UNKNOWN student of a class: nobody changes or deletes it."""
    if record.is_placeholder:
        raise PlaceholderError


@dataclass(frozen=True, slots=True)
class StudentDiff:
    """A changed student, and the classes that it joins and leaves."""

    record: StudentRecord
    joins: tuple[UUID, ...]
    leaves: tuple[UUID, ...]


def changed_student(
    record: StudentRecord, change: StudentChange, joined: str = "add_class_ids"
) -> StudentDiff | None:
    """Return what changes of a student, None if nothing does. The store sets version and time.

    Raises PlaceholderError, also for what would change nothing, and ValidationFailedError, which
    points at `joined`, for too many classes.
    """
    refuse_placeholder(record)
    enrolled = set(record.class_ids)
    joins = tuple(c for c in change.add_class_ids if c not in enrolled)
    leaves = tuple(c for c in change.remove_class_ids if c in enrolled)
    changed = replace(
        record,
        name=change.name or record.name,
        email=change.email.email if change.email else record.email,
        class_ids=tuple(sorted((enrolled - set(leaves)) | set(joins))),
    )
    if not joins and not leaves and (changed.name, changed.email) == (record.name, record.email):
        return None
    check_classes(len(enrolled), len(changed.class_ids), joined)
    return StudentDiff(changed, joins, leaves)


def distinct_runs(items: Iterable[ItemT], id_of: Callable[[ItemT], UUID]) -> list[list[ItemT]]:
    """Split the items, in order, before each repeated id.

    One statement creates distinct ids only: the later of two must see the result of the earlier.
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
