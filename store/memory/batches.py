"""The steps that every way of deciding an association shares."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from rules import closing, timeouts
from rules.decisions import decide, totals
from rules.errors import BatchNotFoundError
from rules.events import timers
from rules.ids import new_id
from rules.models import (
    SYSTEM_AUTO,
    Association,
    Batch,
    BatchTotals,
    Caller,
    ClassSummary,
    Decision,
    HumanDecision,
    Method,
    NewAssociation,
    NewStudent,
    PendingBatch,
    Status,
    Trace,
)
from store.memory.state import MemoryStore, summary


def associate(store: MemoryStore, new: NewAssociation, now: datetime) -> None:
    """Store an essay's first association."""
    association = Association(
        essay_id=new.essay_id,
        batch_id=new.batch_id,
        suggested_student_id=new.suggested_student_id,
        student_id=new.suggested_student_id if new.auto_confirmed else None,
        confidence=new.confidence,
        match_reasons=new.match_reasons,
        status=Status.CONFIRMED if new.auto_confirmed else Status.PENDING,
        method=Method.AUTO if new.auto_confirmed else None,
        validated_by=SYSTEM_AUTO if new.auto_confirmed else None,
        validated_at=now if new.auto_confirmed else None,
        created_at=now,
        confirm_by=new.confirm_by,
    )
    store.add_association(association)


def apply(store: MemoryStore, decisions: Iterable[Decision], now: datetime) -> None:
    """Carry decisions out."""
    for decision in decisions:
        store.associations[decision.essay_id] = replace(
            store.associations[decision.essay_id],
            status=decision.status,
            method=decision.method,
            student_id=decision.student_id,
            validated_by=decision.validated_by,
            validated_at=now,
        )


def confirm(
    store: MemoryStore, caller: Caller, batch_id: UUID, decisions: Sequence[HumanDecision]
) -> BatchTotals:
    """Apply a teacher's decisions, all or none.

    Raises BatchNotFoundError, ValidationFailedError, BatchConflictError.
    """
    cls = owned_class(store, caller.user_id, batch_id)
    current = {a.essay_id: a for a in store.associations_of(batch_id)}
    changes = decide(decisions, current, store.members(cls.id), caller.user_id)
    if changes:
        now = store.now()
        apply(store, changes, now)
        settle(store, batch_id, now, caller.trace)
    return totals(store.associations_of(batch_id))


def class_of(store: MemoryStore, batch_id: UUID) -> ClassSummary | None:
    """Return a batch's class, None where there is no batch or its class was deleted."""
    batch = store.batches.get(batch_id)
    if batch is None or batch.class_id is None:
        return None
    return summary(store.classes[batch.class_id])


def owned_class(store: MemoryStore, owner_id: str, batch_id: UUID) -> ClassSummary:
    """Return the class of an owner's batch. Raises BatchNotFoundError."""
    cls = class_of(store, batch_id)
    if cls is None or cls.owner_id != owner_id:
        raise BatchNotFoundError
    return cls


def settle(store: MemoryStore, batch_id: UUID, now: datetime, request: Trace | None = None) -> None:
    """Close a batch whose last association was decided, and publish how its timer stands.

    The messages carry the trace of the request that caused them, else the batch's own.
    """
    batch = store.batches.get(batch_id)
    if batch is not None and batch.closed_at is None and batch.class_id is not None:
        trace = request or batch.trace
        _close_if_decided(store, batch, summary(store.classes[batch.class_id]), now, trace)
    publish_timer(store, batch_id, now, request)


def publish_timer(
    store: MemoryStore, batch_id: UUID, now: datetime, request: Trace | None = None
) -> None:
    """Publish whether a batch has something pending, and when that falls due."""
    batch = store.batches.get(batch_id)
    trace = request or (batch.trace if batch else Trace(new_id()))
    pending = pending_batch(store, batch_id)
    if pending is None:
        store.publish([timers.cleared(batch_id, trace, now)])
    else:
        store.publish([timers.armed(pending, trace, now)])


def pending_batch(store: MemoryStore, batch_id: UUID) -> PendingBatch | None:
    """Return what is pending of a batch, None where nothing is."""
    pending = store.pending_of(batch_id)
    if not pending:
        return None
    class_id = store.batches[batch_id].class_id
    if class_id is None:
        raise AssertionError("a deleted class leaves nothing pending")
    return PendingBatch(batch_id, class_id, len(pending), pending[0].confirm_by)


def unknown_student(store: MemoryStore, batch: Batch, cls: ClassSummary) -> UUID:
    """Return the class's UNKNOWN student, made when first needed."""
    email = timeouts.unknown_student_email(cls.id)
    if existing := store.email_holder(cls.owner_id, email):
        return existing
    new = NewStudent(new_id(), timeouts.unknown_student_name(), email, (cls.id,))
    store.add_student(Caller(cls.owner_id, batch.trace), new, [cls])
    return new.id


def withdraw(store: MemoryStore, class_id: UUID, request: Trace) -> None:
    """Take a class from its batches: what is pending goes, what is decided stays."""
    for batch in [b for b in store.batches.values() if b.class_id == class_id]:
        pending = store.pending_of(batch.id)
        for association in pending:
            store.drop_association(association)
        store.batches[batch.id] = replace(batch, class_id=None)
        if pending:
            publish_timer(store, batch.id, store.now(), request)


def _close_if_decided(
    store: MemoryStore, batch: Batch, cls: ClassSummary, now: datetime, trace: Trace
) -> None:
    associations = store.associations_of(batch.id)
    if not associations or any(association.pending for association in associations):
        return
    named = {
        student.id: closing.NamedStudent(
            student.name.first_name, student.name.last_name, student.email
        )
        for association in associations
        if association.student_id and (student := store.students.get(association.student_id))
    }
    store.batches[batch.id] = replace(batch, closed_at=now)
    ending = closing.ClosingBatch(replace(batch, trace=trace), cls, associations, named)
    store.publish(closing.close(ending, store.policy, now))
