"""Making students in memory: for requests, for commands, and for the clock that needs UNKNOWN."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from rules.changes import Made, NewStudentRequest, existing_student
from rules.errors import ClassNotFoundError, EmailConflictError, ServiceError
from rules.events import roster
from rules.ids import new_id
from rules.models import Batch, Caller, ClassSummary, NewStudent, StudentRecord
from rules.timeouts import unknown_student_email, unknown_student_name
from store.memory.state import MemoryStore


@dataclass(frozen=True, slots=True)
class Joining:
    """A student can be made, and joins these classes."""

    classes: Sequence[ClassSummary]


def make_student(
    store: MemoryStore, request: NewStudentRequest
) -> Made[StudentRecord] | ServiceError:
    """Make a student and enrol it."""
    [met] = look_at_students(store, [request])
    if isinstance(met, Joining):
        return Made(add_student(store, request.caller, request.new, met.classes), is_new=True)
    return met


def look_at_students(
    store: MemoryStore, requests: Sequence[NewStudentRequest]
) -> list[Joining | Made[StudentRecord] | ServiceError]:
    """Return what each of these requests meets; their ids are distinct. Nothing is changed."""
    emails: set[tuple[str, str]] = set()
    return [_look(store, request, emails) for request in requests]


def add_student(
    store: MemoryStore, caller: Caller, new: NewStudent, classes: Sequence[ClassSummary]
) -> StudentRecord:
    """Store a student, enrol it and publish that."""
    now = store.now()
    class_ids = tuple(sorted({cls.id for cls in classes}))
    record = StudentRecord(
        new.id, caller.user_id, new.name, new.email, class_ids, 1, created_at=now, updated_at=now
    )
    store.put_student(record)
    store.publish(roster.student_created(caller, new, classes, now))
    return record


def unknown_student(store: MemoryStore, batch: Batch, cls: ClassSummary) -> UUID:
    """Return the class's UNKNOWN student, made when first needed."""
    email = unknown_student_email(cls.id)
    if existing := store.email_holder(cls.owner_id, email):
        return existing
    new = NewStudent(new_id(), unknown_student_name(), email, (cls.id,))
    return add_student(store, Caller(cls.owner_id, batch.trace), new, [cls]).id


def _look(
    store: MemoryStore, request: NewStudentRequest, emails: set[tuple[str, str]]
) -> Joining | Made[StudentRecord] | ServiceError:
    caller, new = request.caller, request.new
    if there := store.students.get(new.id):
        return existing_student(there, request)
    try:
        classes = store.classes_of(caller.user_id, new.class_ids)
    except ClassNotFoundError as refusal:
        return refusal
    if new.email is not None:
        owned = caller.user_id, new.email.lower()
        if owned in emails or store.email_holder(*owned):
            return EmailConflictError()
        emails.add(owned)
    return Joining(classes)
