"""Creating students in memory: for requests, commands, and the clock (placeholders)."""

from collections.abc import Sequence
from dataclasses import dataclass

from rules.changes import Created, NewStudentRequest, existing_student
from rules.emails import key_of
from rules.errors import ClassNotFoundError, EmailConflictError, ServiceError
from rules.events import roster
from rules.history import ChangeKind, enrollment_changes, student_change
from rules.models import Caller, ClassSummary, NewStudent, StudentRecord
from store.memory.state import MemoryStore


@dataclass(frozen=True, slots=True)
class Joining:
    """A student can be created, and joins these classes."""

    classes: Sequence[ClassSummary]


def create_student(
    store: MemoryStore, request: NewStudentRequest
) -> Created[StudentRecord] | ServiceError:
    """Create a student and enrol it, unless its id is taken."""
    [found] = check_students(store, [request])
    if isinstance(found, Joining):
        return Created(add_student(store, request.caller, request.new, found.classes), is_new=True)
    return found


def check_students(
    store: MemoryStore, requests: Sequence[NewStudentRequest]
) -> list[Joining | Created[StudentRecord] | ServiceError]:
    """Return what each of these requests, of distinct ids, would lead to; change nothing."""
    emails: set[tuple[str, str]] = set()
    return [_check(store, request, emails) for request in requests]


def add_student(
    store: MemoryStore, caller: Caller, new: NewStudent, classes: Sequence[ClassSummary]
) -> StudentRecord:
    """Store a student, enrol it and publish its creation."""
    now = store.now()
    class_ids = tuple(sorted({cls.id for cls in classes}))
    record = StudentRecord(
        new.id, caller.user_id, new.name, new.email, class_ids, 1, now, now, new.is_placeholder
    )
    store.put_student(record)
    store.remember(
        [
            student_change(caller, after=record),
            *enrollment_changes(caller, ChangeKind.CREATED, record.id, class_ids),
        ]
    )
    store.publish(roster.student_created(caller, new, classes, now))
    return record


def _check(
    store: MemoryStore, request: NewStudentRequest, emails: set[tuple[str, str]]
) -> Joining | Created[StudentRecord] | ServiceError:
    caller, new = request.caller, request.new
    if existing := store.students.get(new.id):
        return existing_student(existing, request)
    try:
        classes = store.classes_of(caller.user_id, new.class_ids)
    except ClassNotFoundError as refusal:
        return refusal
    if new.email is not None:
        owned = caller.user_id, key_of(new.email)
        if owned in emails or store.email_holder(*owned):
            return EmailConflictError()
        emails.add(owned)
    return Joining(classes)
