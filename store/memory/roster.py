"""Creating, changing and deleting classes and students in memory: for requests and for commands.

Students are created by store.memory.students.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from rules.changes import (
    Created,
    NewClassRequest,
    changed_class,
    changed_student,
    existing_class,
    refuse_placeholder,
)
from rules.conditions import Condition
from rules.errors import EmailConflictError, ExternalIdConflictError, ServiceError
from rules.events import roster
from rules.history import (
    REFERENCE_MEMBERS,
    SUGGESTION_MEMBERS,
    Cause,
    ChangeKind,
    association_change,
    class_change,
    enrollment_changes,
    student_change,
)
from rules.limits import check_places
from rules.models import (
    Association,
    Caller,
    ClassChange,
    ClassDetail,
    ClassRecord,
    DeletedClass,
    StudentChange,
    StudentRecord,
)
from rules.open_batches import deleted_class
from rules.search import key_of
from rules.tags import class_tag, student_tag
from store.memory import open_batches
from store.memory.state import MemoryStore


def create_class(
    store: MemoryStore, request: NewClassRequest
) -> Created[ClassRecord] | ServiceError:
    """Create a class, unless its id is taken."""
    caller, new = request.caller, request.new
    existing = store.classes.get(new.id)
    holder = store.class_called(caller.user_id, new.external_id)
    answer = existing_class(existing and counted(store, existing), holder, request)
    if answer is not None:
        return answer
    now = store.now()
    record = ClassRecord(
        new.id, caller.user_id, new.name, new.course_code, 0, 1, now, now, new.external_id
    )
    store.classes[new.id] = record
    store.remember([class_change(caller, after=record)])
    store.publish(roster.class_created(caller, new, now))
    return Created(record, is_new=True)


def update_class(
    store: MemoryStore,
    caller: Caller,
    class_id: UUID,
    change: ClassChange,
    condition: Condition | None = None,
) -> ClassRecord:
    """Change a class, as ClassRepositoryProtocol says."""
    record = store.class_of(caller.user_id, class_id)
    _check_class(store, record, condition)
    changed = changed_class(record, change)
    if changed is None:
        return counted(store, record)
    holder = store.class_called(caller.user_id, changed.external_id)
    if holder not in (None, class_id):
        raise ExternalIdConflictError(class_id=holder)
    now = store.now()
    changed = replace(changed, version=record.version + 1, updated_at=now)
    store.classes[class_id] = changed
    store.remember([class_change(caller, record, changed)])
    store.publish(roster.class_updated(caller, changed, now))
    return counted(store, changed)


def delete_class(
    store: MemoryStore, caller: Caller, class_id: UUID, condition: Condition | None = None
) -> None:
    """Delete a class, as ClassRepositoryProtocol says."""
    record = store.class_of(caller.user_id, class_id)
    _check_class(store, record, condition)
    _detach_batches(store, deleted_class(caller, class_id, record.course_code))
    for student_id in sorted(store.members(class_id)):
        store.remember(enrollment_changes(caller, ChangeKind.DELETED, student_id, [class_id]))
    store.drop_class(class_id)
    store.remember([class_change(caller, record)])
    store.publish(roster.class_deleted(caller, class_id, record.external_id, store.now()))


def update_student(
    store: MemoryStore,
    caller: Caller,
    student_id: UUID,
    change: StudentChange,
    condition: Condition | None = None,
) -> StudentRecord:
    """Change a student, as ClassRepositoryProtocol says."""
    record = store.student_of(caller.user_id, student_id)
    if condition:
        condition.check(student_tag(record))
    joined = store.classes_of(caller.user_id, change.add_class_ids)
    store.classes_of(caller.user_id, change.remove_class_ids)
    diff = changed_student(record, change)
    if diff is None:
        return record
    check_places(store.sizes(diff.joins), diff.joins, "add_class_ids")
    _refuse_taken(store, diff.record)
    now = store.now()
    changed = replace(diff.record, version=diff.record.version + 1, updated_at=now)
    store.put_student(changed)
    store.remember(
        [
            student_change(caller, record, changed),
            *enrollment_changes(caller, ChangeKind.DELETED, student_id, diff.leaves),
            *enrollment_changes(caller, ChangeKind.CREATED, student_id, diff.joins),
        ]
    )
    withdraw(store, caller, student_id, diff.leaves)
    added = [cls for cls in joined if cls.id in diff.joins]
    store.publish(roster.student_updated(caller, changed, added, diff.leaves, now))
    return changed


def delete_student(
    store: MemoryStore, caller: Caller, student_id: UUID, condition: Condition | None = None
) -> None:
    """Delete a student; its pending associations stay, unmatched. Raises StudentNotFoundError."""
    record = store.student_of(caller.user_id, student_id)
    if condition:
        condition.check(student_tag(record))
    refuse_placeholder(record)
    withdraw(store, caller, student_id, None)
    for association in list(store.associations.values()):
        if student_id in (association.suggested_student_id, association.student_id):
            _forget(store, caller, association, student_id)
    store.name_in_past(student_id, None)
    store.drop_student(student_id)
    store.remember(
        [
            *enrollment_changes(caller, ChangeKind.DELETED, student_id, record.class_ids),
            student_change(caller, record),
        ]
    )
    store.publish(roster.student_deleted(caller, student_id, record.external_id, store.now()))


def counted(store: MemoryStore, record: ClassRecord) -> ClassRecord:
    """Return a class with the number of its students, UNKNOWN apart."""
    return replace(record, student_count=len(store.pupils(record.id)))


def detail(store: MemoryStore, record: ClassRecord) -> ClassDetail:
    """Return a class with its students."""
    return ClassDetail(counted(store, record), tuple(by_name(store, record.id)))


def by_name(store: MemoryStore, class_id: UUID) -> list[StudentRecord]:
    """Return the students of a class in their order."""
    return sorted((store.students[i] for i in store.members(class_id)), key=key_of)


def _check_class(store: MemoryStore, record: ClassRecord, condition: Condition | None) -> None:
    if condition:
        condition.check(class_tag(detail(store, record)))


def _detach_batches(store: MemoryStore, deleted: DeletedClass) -> None:
    """Leave the batches of a class to OpenBatchesProtocol, with what closing them needs.

    Where the id was used before, the batches of that class close first, in their owner's name.
    """
    for batch in [b for b in store.batches.values() if b.deleted_class_id == deleted.id]:
        open_batches.settle(store, batch)
    store.deleted_classes[deleted.id] = deleted
    store.deleted_at[deleted.id] = store.now()
    for batch in [b for b in store.batches.values() if b.class_id == deleted.id]:
        store.batches[batch.id] = replace(batch, class_id=None, deleted_class_id=deleted.id)


def withdraw(
    store: MemoryStore,
    caller: Caller,
    student_id: UUID,
    class_ids: Sequence[UUID] | None,
    by: str | None = None,
) -> None:
    """Make a student nobody's choice in the batches of these classes; None is all.

    `by` is who does it in the caller's name, if anyone.
    """
    for association in list(store.associations.values()):
        batch = store.batches[association.batch_id]
        affected = class_ids is None or batch.class_id in class_ids
        if association.pending and association.suggested_student_id == student_id and affected:
            rest = replace(association, suggested_student_id=None, confidence=0.0, match_reasons=())
            store.associations[association.essay_id] = rest
            cause = _cause(caller, batch.class_id or batch.deleted_class_id)
            change = association_change(cause, association, rest, SUGGESTION_MEMBERS)
            store.remember([replace(change, by=by or caller.user_id)])


def _refuse_taken(store: MemoryStore, student: StudentRecord) -> None:
    holder = store.student_called(student.owner_id, student.external_id)
    if holder not in (None, student.id):
        raise ExternalIdConflictError(student_id=holder)
    holder = store.email_holder(student.owner_id, student.email)
    if holder not in (None, student.id):
        raise EmailConflictError(student_id=holder)


def _forget(store: MemoryStore, caller: Caller, association: Association, student_id: UUID) -> None:
    """Take a student that is deleted out of an association."""
    rest = _without(association, student_id)
    store.associations[association.essay_id] = rest
    batch = store.batches[association.batch_id]
    cause = _cause(caller, batch.class_id or batch.deleted_class_id)
    store.remember([association_change(cause, association, rest, REFERENCE_MEMBERS)])


def _cause(caller: Caller, class_id: UUID | None) -> Cause:
    return Cause(caller.user_id, class_id, caller.user_id, caller.trace.correlation_id)


def _without(association: Association, student_id: UUID) -> Association:
    """Return an association as it is after the deletion of a student."""
    suggested, decided = association.suggested_student_id, association.student_id
    return replace(
        association,
        suggested_student_id=None if suggested == student_id else suggested,
        student_id=None if decided == student_id else decided,
    )
