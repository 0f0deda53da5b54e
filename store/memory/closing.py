"""How every change of a batch ends: it closes when nothing is pending, and its timer is set."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from rules import closing
from rules.events import timers
from rules.models import Batch, ClassSummary, DeletedClass, Trace
from store.memory.state import MemoryStore


def close_decided(
    store: MemoryStore, batch_id: UUID, now: datetime, request: Trace | None = None
) -> None:
    """Close a batch whose last association was decided, and publish how its timer is set.

    The messages carry the trace of the request that caused them, else the batch's own.
    """
    batch = store.batches.get(batch_id)
    cls = store.class_of_batch(batch_id)
    if batch and cls and closing.closes(batch, len(store.pending_of(batch_id))):
        store.batches[batch_id] = replace(batch, closed_at=now)
        _publish_closing(store, batch.traced(request), cls, now)
    publish_timer(store, batch_id, now, request)


def close_deleted(store: MemoryStore, batch: Batch, deleted: DeletedClass) -> None:
    """Close a batch whose class is deleted; its messages carry the trace of the deletion."""
    traced = batch.traced(deleted.trace)
    close_silently(store, traced)
    _publish_closing(store, traced, deleted, store.now())


def close_silently(store: MemoryStore, batch: Batch) -> None:
    """Close a batch without an event: only its timer hears of it."""
    now = store.now()
    store.batches[batch.id] = replace(store.batches[batch.id], closed_at=now)
    store.publish([timers.cleared(batch.id, batch.trace, now)])


def publish_timer(
    store: MemoryStore, batch_id: UUID, now: datetime, request: Trace | None = None
) -> None:
    """Publish whether anything of a batch is pending, and when it falls due."""
    batch = store.batches.get(batch_id)
    if batch is None:
        store.publish([timers.cleared_unknown(batch_id, now)])
        return
    pending = store.pending_of(batch_id)
    soonest = pending[0].confirm_by if pending else None
    store.publish([timers.timer(batch.traced(request), len(pending), soonest, now)])


def _publish_closing(
    store: MemoryStore, batch: Batch, cls: ClassSummary | DeletedClass, now: datetime
) -> None:
    associations = store.associations_of(batch.id)
    named = {
        student.id: closing.NamedStudent(
            student.name.first_name, student.name.last_name, student.email
        )
        for association in associations
        if association.student_id and (student := store.students.get(association.student_id))
    }
    ending = closing.ClosingBatch(batch, cls, associations, named)
    store.publish(closing.close(ending, store.policy, now))
