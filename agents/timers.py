"""Writes the table of pending associations: the only one that does."""

from typing import Final

from agents.burying import bury, unreadable
from agents.messages import TimerEnvelope, TimerWire, read
from rules.errors import ValidationFailedError
from rules.models import Record
from rules.timer_messages import ARMED
from store.protocols import AssociationRepositoryProtocol
from tables.pending import PendingTable, TimerEntry
from telemetry.metrics import Metrics

AGENT: Final = "timers"


class TimerWriter:
    """Puts `armed` and `cleared` messages into the table."""

    def __init__(
        self,
        table: PendingTable,
        associations: AssociationRepositoryProtocol,
        metrics: Metrics,
    ) -> None:
        self._table = table
        self._associations = associations
        self._metrics = metrics

    async def take(self, record: Record) -> None:
        """Apply one message. To be called inside the agent's event: Faust allows no other write."""
        try:
            wire = read(TimerEnvelope, record.value).data
        except ValidationFailedError as error:
            await bury([unreadable(record, error)], AGENT, self._associations, self._metrics)
            return
        self._metrics.messages.labels(AGENT, wire.event).inc()
        self._apply(wire)

    def _apply(self, wire: TimerWire) -> None:
        if wire.event == ARMED and wire.class_id and wire.confirm_by and wire.armed_at:
            entry = TimerEntry(
                wire.batch_id, wire.class_id, wire.pending_count, wire.confirm_by, wire.armed_at
            )
            self._table.arm(entry)
        else:
            self._table.clear(wire.batch_id)
