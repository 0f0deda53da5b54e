"""Merging two students, in memory."""

from dataclasses import replace
from uuid import UUID

from rules import merging
from rules.events import roster
from rules.history import Change, ChangeKind, enrollment_changes, student_change
from rules.models import Association, Caller, StudentRecord
from store.memory.state import MemoryStore


def merge_students(
    store: MemoryStore, caller: Caller, student_id: UUID, into: UUID
) -> StudentRecord:
    """Make one of two students, as ClassRepositoryProtocol says."""
    merging.require_two(student_id, into)
    gone, kept = (store.student_of(caller.user_id, one) for one in (student_id, into))
    plan = merging.merge(gone, kept)
    referring = _referring(store, plan)
    for association in referring:
        moved = merging.moved(association, gone.id, kept.id)
        store.associations[association.essay_id] = moved
    store.name_in_past(gone.id, kept.id)
    now = store.now()
    record = replace(plan.diff.record, version=kept.version + 1, updated_at=now)
    store.drop_student(gone.id)
    store.put_student(record)
    joined = [store.classes[class_id].summary for class_id in plan.diff.joins]
    store.publish(roster.student_updated(caller, record, joined, (), now))
    parts = [
        merging.tell_moved(caller, plan, record, a, _class_of(store, a), now) for a in referring
    ]
    store.publish(message for part in parts for message in part.messages)
    store.publish(roster.student_deleted(caller, gone.id, gone.external_id, now))
    store.remember(_student_changes(caller, plan, record))
    store.remember(change for part in parts for change in part.changes)
    return record


def _referring(store: MemoryStore, plan: merging.Merge) -> list[Association]:
    classes = {*plan.gone.class_ids, *plan.into.class_ids}
    return sorted(
        (
            a
            for a in store.associations.values()
            if plan.gone.id in (a.suggested_student_id, a.student_id)
            or (
                store.batches[a.batch_id].class_id in classes
                and any(one.student_id == plan.gone.id for one in a.suggestions)
            )
        ),
        key=lambda a: a.essay_id,
    )


def _class_of(store: MemoryStore, association: Association) -> UUID | None:
    batch = store.batches[association.batch_id]
    return batch.class_id or batch.deleted_class_id


def _student_changes(caller: Caller, plan: merging.Merge, merged: StudentRecord) -> list[Change]:
    created, deleted = ChangeKind.CREATED, ChangeKind.DELETED
    return [
        *enrollment_changes(caller, deleted, plan.gone.id, plan.gone.class_ids),
        student_change(caller, plan.gone),
        student_change(caller, plan.into, merged),
        *enrollment_changes(caller, created, plan.into.id, plan.diff.joins),
    ]
