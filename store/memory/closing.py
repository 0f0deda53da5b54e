"""How every change of a batch ends: it closes when nothing is pending, and its timer is set."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from rules import closing
from rules.events import timers
from rules.models import Batch, ClassRecord, Trace
from store.memory.state import MemoryStore


def close_decided(
    store: MemoryStore, batch_id: UUID, now: datetime, request: Trace | None = None
) -> None:
    """Close a batch whose last association was decided, and publish how its timer is set.

    The messages carry the trace of the request that caused them, else the batch's own.
    """
    batch = store.batches.get(batch_id)
    if batch is not None and batch.class_id is not None:
        associations = store.associations_of(batch_id)
        pending = sum(association.pending for association in associations)
        if closing.closes(batch, len(associations), pending):
            store.batches[batch_id] = replace(batch, closed_at=now)
            _publish_closing(store, batch.traced(request), store.classes[batch.class_id], now)
    publish_timer(store, batch_id, now, request)


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


def _publish_closing(store: MemoryStore, batch: Batch, record: ClassRecord, now: datetime) -> None:
    associations = store.associations_of(batch.id)
    named = {
        student.id: closing.NamedStudent(
            student.name.first_name, student.name.last_name, student.email, student.is_placeholder
        )
        for association in associations
        if association.student_id and (student := store.students.get(association.student_id))
    }
    ending = closing.ClosingBatch(batch, record.summary, associations, named)
    store.publish(closing.close(ending, store.policy, now))
