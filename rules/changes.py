"""What a class or a student becomes by a requested change, which may change nothing."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Generic, TypeVar
from uuid import UUID

from rules.errors import (
    ExternalIdConflictError,
    IdempotencyConflictError,
    PlaceholderError,
    ServiceError,
)
from rules.limits import check_classes
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    ExternalIdChange,
    NewClass,
    NewStudent,
    StudentChange,
    StudentRecord,
)
from rules.text import normalised
from rules.values import dataclass

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
    existing: ClassRecord | None, holder: UUID | None, request: NewClassRequest
) -> Created[ClassRecord] | ServiceError | None:
    """Answer a request whose id or external id is taken; None: neither is, and it can be created.

    `existing` has the id: a repetition succeeds, all else is refused. An earlier version may have
    stored its name as it was sent. `holder` is the caller's class that has the external id.
    """
    if existing is None:
        return None if holder is None else ExternalIdConflictError(class_id=holder)
    if existing.owner_id != request.caller.user_id:
        return IdempotencyConflictError()
    new = request.new
    wanted = new.name, new.course_code, new.external_id
    is_same = (normalised(existing.name), existing.course_code, existing.external_id) == wanted
    return Created(existing, is_new=False) if is_same else IdempotencyConflictError()


def changed_class(record: ClassRecord, change: ClassChange) -> ClassRecord | None:
    """Return the changed class, None if nothing changes. The store sets version and time."""
    name = record.name if change.name is None else change.name
    course_code = change.course_code or record.course_code
    external_id = _changed_external_id(record, change.external_id)
    changed = replace(record, name=name, course_code=course_code, external_id=external_id)
    return None if changed == record else changed


def _changed_external_id(
    record: ClassRecord | StudentRecord, change: ExternalIdChange | None
) -> str | None:
    return change.external_id if change else record.external_id


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
        external_id=_changed_external_id(record, change.external_id),
        class_ids=tuple(sorted((enrolled - set(leaves)) | set(joins))),
    )
    is_same = replace(changed, class_ids=record.class_ids) == record
    if is_same and not joins and not leaves:
        return None
    check_classes(len(enrolled), len(changed.class_ids), joined)
    return StudentDiff(changed, joins, leaves)


def distinct_runs(
    items: Iterable[ItemT], marks_of: Callable[[ItemT], Iterable[Hashable]]
) -> list[list[ItemT]]:
    """Split the items, in order, before each that repeats an id, or another mark.

    One statement creates distinct ids only: the later of two must see the result of the earlier.
    """
    runs: list[list[ItemT]] = []
    seen: set[Hashable] = set()
    for item in items:
        marks = tuple(marks_of(item))
        if not runs or not seen.isdisjoint(marks):
            runs.append([])
            seen.clear()
        runs[-1].append(item)
        seen.update(marks)
    return runs
