"""The messages that arm and clear the timers (internal topic; no names, no emails)."""

from datetime import datetime
from uuid import UUID

from rules import topics
from rules.events.envelopes import publish
from rules.ids import new_id
from rules.models import Batch, OutboxMessage, PendingBatch, Trace

ARMED = "armed"
CLEARED = "cleared"


def armed(batch: PendingBatch, trace: Trace, at: datetime) -> OutboxMessage:
    """Announce that a batch has pending associations and when the next falls due."""
    data = {
        "event": ARMED,
        "batch_id": batch.batch_id,
        "class_id": batch.class_id,
        "pending_count": batch.pending_count,
        "confirm_by": batch.confirm_by,
        "armed_at": at,
    }
    return publish(topics.TIMERS, batch.batch_id, data, trace, at)


def cleared(batch_id: UUID, trace: Trace, at: datetime) -> OutboxMessage:
    """Announce that nothing of a batch is pending any more."""
    data = {"event": CLEARED, "batch_id": batch_id}
    return publish(topics.TIMERS, batch_id, data, trace, at)


def timer(batch: Batch, pending: int, confirm_by: datetime | None, at: datetime) -> OutboxMessage:
    """Announce a batch's timer: armed for `confirm_by` if something is pending, else cleared."""
    if not pending or batch.class_id is None or confirm_by is None:
        return cleared(batch.id, batch.trace, at)
    return armed(PendingBatch(batch.id, batch.class_id, pending, confirm_by), batch.trace, at)


def cleared_unknown(batch_id: UUID, at: datetime) -> OutboxMessage:
    """Clear the timer of a batch that is not stored and so has no trace."""
    return cleared(batch_id, Trace(new_id()), at)
