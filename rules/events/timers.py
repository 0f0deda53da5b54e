"""The messages that arm and clear the timers (internal topic; no names, no emails)."""

from datetime import datetime
from uuid import UUID

from rules import topics
from rules.events.envelopes import publish
from rules.models import OutboxMessage, PendingBatch, Trace

ARMED = "armed"
CLEARED = "cleared"


def armed(batch: PendingBatch, trace: Trace, at: datetime) -> OutboxMessage:
    """Say that a batch has pending associations and when the next falls due."""
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
    """Say that nothing of a batch is pending any more."""
    data = {"event": CLEARED, "batch_id": batch_id}
    return publish(topics.TIMERS, batch_id, data, trace, at)
