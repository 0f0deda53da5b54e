"""Creating students in memory: for requests, commands, and the clock (placeholders)."""

from collections.abc import Sequence
from dataclasses import replace

from rules.changes import Created, NewStudentRequest
from rules.errors import ClassNotFoundError, ServiceError, ValidationFailedError
from rules.events import roster
from rules.history import ChangeKind, enrollment_changes, student_change
from rules.joining import (
    Joined,
    Joining,
    Meant,
    Outcome,
    answer_existing,
    diff_of,
    takes_external_id,
)
from rules.limits import check_classes, check_places
from rules.models import ClassSummary, StudentRecord
from store.memory.state import MemoryStore


def create_student(
    store: MemoryStore, request: NewStudentRequest, *, joins: bool = False
) -> Outcome:
    """Create a student and enrol it, unless its id or its email is taken.

    With `joins` who is there already joins the classes of its request.
    """
    caller, new = request.caller, request.new
    classes = _classes_of(store, request)
    named = store.student_called(caller.user_id, new.external_id)
    holder = store.email_holder(caller.user_id, new.email)
    meant = Meant(
        store.students.get(new.id),
        None if holder is None else store.students[holder],
        None if named is None else store.students[named],
    )
    answer = answer_existing(request, meant, has_classes=classes is not None, joins=joins)
    if isinstance(answer, Created | ServiceError):
        return answer
    try:
        if isinstance(answer, Joining):
            return Joined(_join(store, request, answer.record))
        return Created(_new(store, request, classes or ()), is_new=True)
    except ValidationFailedError as refusal:
        return refusal


def _classes_of(store: MemoryStore, request: NewStudentRequest) -> list[ClassSummary] | None:
    """Return the classes that a student is to join, None if one is not the caller's."""
    try:
        return store.classes_of(request.caller.user_id, request.new.class_ids)
    except ClassNotFoundError:
        return None


def _new(
    store: MemoryStore, request: NewStudentRequest, classes: Sequence[ClassSummary]
) -> StudentRecord:
    """Create a student. Raises ValidationFailedError beyond a limit."""
    class_ids = request.new.class_ids
    check_classes(0, len(class_ids), "class_ids")
    check_places(store.sizes(class_ids), class_ids, "class_ids")
    return add_student(store, request, classes)


def _join(store: MemoryStore, request: NewStudentRequest, record: StudentRecord) -> StudentRecord:
    """Let a student join. Raises ValidationFailedError beyond a limit."""
    new = request.new
    is_free = store.student_called(record.owner_id, new.external_id) is None
    diff = diff_of(record, request, takes_id=is_free and takes_external_id(record, request))
    if diff is None:
        return record
    check_places(store.sizes(diff.joins), diff.joins, "class_ids")
    caller, now = request.caller, store.now()
    changed = replace(diff.record, version=record.version + 1, updated_at=now)
    store.put_student(changed)
    joined = store.classes_of(caller.user_id, diff.joins)
    store.publish(roster.student_updated(caller, changed, joined, (), now))
    store.remember(
        [
            student_change(caller, record, changed),
            *enrollment_changes(caller, ChangeKind.CREATED, record.id, diff.joins),
        ]
    )
    return changed


def add_student(
    store: MemoryStore, request: NewStudentRequest, classes: Sequence[ClassSummary]
) -> StudentRecord:
    """Store a student, enrol it and publish its creation."""
    caller, new, now = request.caller, request.new, store.now()
    class_ids = tuple(sorted({cls.id for cls in classes}))
    record = StudentRecord(
        new.id,
        caller.user_id,
        new.name,
        new.email,
        class_ids,
        1,
        now,
        now,
        new.is_placeholder,
        new.external_id,
    )
    store.put_student(record)
    made = [
        student_change(caller, after=record),
        *enrollment_changes(caller, ChangeKind.CREATED, record.id, class_ids),
    ]
    store.remember([replace(change, by=request.made_by) for change in made])
    store.publish(roster.student_created(caller, new, classes, now))
    return record
