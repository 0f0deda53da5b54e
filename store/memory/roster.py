"""Making, changing and deleting classes and students in memory: for requests and for commands.

Whatever can refuse comes before the first change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from rules.changes import (
    Made,
    StudentDiff,
    changed_class,
    changed_student,
    repeats_class,
    repeats_student,
)
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    IdempotencyConflictError,
    ServiceError,
)
from rules.events import roster
from rules.models import (
    Association,
    Caller,
    ClassChange,
    ClassRecord,
    ClassSummary,
    StudentChange,
    StudentRecord,
)
from store.memory.batches import withdraw
from store.memory.state import MemoryStore
from store.protocols import CreateClass, CreateStudent


def make_class(store: MemoryStore, request: CreateClass) -> Made[ClassRecord] | ServiceError:
    """Make a class."""
    caller, new = request.caller, request.new
    there = store.classes.get(new.id)
    if there is not None:
        is_same = there.owner_id == caller.user_id and repeats_class(there, new)
        return Made(counted(store, there), is_new=False) if is_same else IdempotencyConflictError()
    now = store.now()
    record = ClassRecord(new.id, caller.user_id, new.name, new.course_code, 0, 1, now, now)
    store.classes[new.id] = record
    store.publish(roster.class_created(caller, new))
    return Made(record, is_new=True)


def update_class(
    store: MemoryStore, caller: Caller, class_id: UUID, change: ClassChange
) -> ClassRecord:
    """Change a class. Raises ClassNotFoundError."""
    record = store.class_of(caller.user_id, class_id)
    changed = changed_class(record, change)
    if changed is None:
        return counted(store, record)
    changed = replace(changed, version=record.version + 1, updated_at=store.now())
    store.classes[class_id] = changed
    store.publish(roster.class_updated(caller, changed))
    return counted(store, changed)


def delete_class(store: MemoryStore, caller: Caller, class_id: UUID) -> None:
    """Delete a class with its enrolments and pending associations. Raises ClassNotFoundError."""
    store.class_of(caller.user_id, class_id)
    withdraw(store, class_id, caller.trace)
    store.drop_class(class_id)
    store.publish(roster.class_deleted(caller, class_id))


def make_student(store: MemoryStore, request: CreateStudent) -> Made[StudentRecord] | ServiceError:
    """Make a student and enrol it."""
    [met] = look_at_students(store, [request])
    if isinstance(met, Joining):
        store.add_student(request.caller, request.new, met.classes)
        return Made(store.students[request.new.id], is_new=True)
    return met


@dataclass(frozen=True, slots=True)
class Joining:
    """A student can be made, and joins these classes."""

    classes: Sequence[ClassSummary]


def look_at_students(
    store: MemoryStore, requests: Sequence[CreateStudent]
) -> list[Joining | Made[StudentRecord] | ServiceError]:
    """Return what each of these requests meets; their ids are distinct. Nothing is changed."""
    taken: set[tuple[str, str]] = set()
    return [_look(store, request, taken) for request in requests]


def update_student(
    store: MemoryStore, caller: Caller, student_id: UUID, change: StudentChange
) -> StudentRecord:
    """Change a student.

    Raises StudentNotFoundError, ClassNotFoundError, EmailConflictError.
    """
    record = store.student_of(caller.user_id, student_id)
    joined = store.classes_of(caller.user_id, change.add_class_ids)
    store.classes_of(caller.user_id, change.remove_class_ids)
    diff = changed_student(record, change)
    if diff is None:
        return record
    _refuse_taken_email(store, diff.record)
    changed = _apply(store, diff)
    added = [cls for cls in joined if cls.id in diff.joins]
    store.publish(roster.student_updated(caller, changed, added, diff.leaves))
    return changed


def delete_student(store: MemoryStore, caller: Caller, student_id: UUID) -> None:
    """Delete a student; its pending associations stay, unmatched. Raises StudentNotFoundError."""
    store.student_of(caller.user_id, student_id)
    for association in store.associations.values():
        store.associations[association.essay_id] = _without(association, student_id)
    store.drop_student(student_id)
    store.publish(roster.student_deleted(caller, student_id))


def counted(store: MemoryStore, record: ClassRecord) -> ClassRecord:
    """Return a class with the number of its students."""
    return replace(record, student_count=len(store.members(record.id)))


def _look(
    store: MemoryStore, request: CreateStudent, taken: set[tuple[str, str]]
) -> Joining | Made[StudentRecord] | ServiceError:
    caller, new = request.caller, request.new
    there = store.students.get(new.id)
    if there is not None:
        is_same = there.owner_id == caller.user_id and repeats_student(there, new)
        return Made(there, is_new=False) if is_same else IdempotencyConflictError()
    try:
        classes = store.classes_of(caller.user_id, new.class_ids)
    except ClassNotFoundError as refusal:
        return refusal
    if new.email is not None:
        owned = caller.user_id, new.email.lower()
        if owned in taken or store.email_holder(*owned):
            return EmailConflictError()
        taken.add(owned)
    return Joining(classes)


def _apply(store: MemoryStore, diff: StudentDiff) -> StudentRecord:
    changed = replace(diff.record, version=diff.record.version + 1, updated_at=store.now())
    store.put_student(changed)
    return changed


def _refuse_taken_email(store: MemoryStore, student: StudentRecord) -> None:
    if student.email is None:
        return
    holder = store.email_holder(student.owner_id, student.email)
    if holder not in (None, student.id):
        raise EmailConflictError


def _without(association: Association, student_id: UUID) -> Association:
    """Return an association as it is once a student is gone."""
    if student_id not in (association.suggested_student_id, association.student_id):
        return association
    suggested, decided = association.suggested_student_id, association.student_id
    if association.pending:
        return replace(association, suggested_student_id=None, confidence=0.0, match_reasons=())
    return replace(
        association,
        suggested_student_id=None if suggested == student_id else suggested,
        student_id=None if decided == student_id else decided,
    )
