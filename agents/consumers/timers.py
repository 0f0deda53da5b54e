"""Writes the table of pending associations; nothing else does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from agents.consumers.dead_letters import dead_letter, undecodable_letter
from agents.consumers.replays import note_replays
from rules.dead_letters.messages import unreadable
from rules.errors import ValidationFailedError
from rules.messages.timers import Armed, Timer, parse_timer
from rules.models import Record
from store.protocols.inbox import InboxProtocol
from tables.codec import TimerEntry
from tables.pending import PendingTable
from telemetry.metrics import Metrics

AGENT: Final = "timers"

#: A topic that delivers nothing for this long has been read to its end.
IDLE_SECONDS: Final = 2.0
#: The longest wait for a topic that never falls idle.
PATIENCE_SECONDS: Final = 60.0


class TimerWriter:
    """Applies `armed` and `cleared` messages to the table."""

    def __init__(
        self,
        table: PendingTable,
        inbox: InboxProtocol,
        metrics: Metrics,
        moved: Callable[[], Awaitable[bool]],
    ) -> None:
        """Write `table`; `moved` returns whether the topic has other partitions than that."""
        self._table = table
        self._moved = moved
        self._inbox = inbox
        self._metrics = metrics
        self._handled_at = time.monotonic()

    async def drained(self) -> None:
        """Return once the messages in flight have been handled, or after a minute."""
        asked_at = time.monotonic()
        while time.monotonic() - asked_at < PATIENCE_SECONDS:
            idle_since = max(self._handled_at, asked_at)
            remaining = idle_since + IDLE_SECONDS - time.monotonic()
            if remaining <= 0:
                return
            await asyncio.sleep(remaining)

    async def handle(self, record: Record) -> None:
        """Apply one message. Call it inside the agent's event: Faust allows no other write."""
        self._handled_at = time.monotonic()
        if record.undecodable:
            letters = [undecodable_letter(record, record.undecodable)]
            await dead_letter(letters, AGENT, self._inbox, self._metrics)
            return
        try:
            timer = await self._read(record)
        except ValidationFailedError as error:
            letters = [unreadable(record, error)]
            await dead_letter(letters, AGENT, self._inbox, self._metrics)
            return
        self._metrics.messages.labels(AGENT, timer.event).inc()
        if self._is_placed(timer, record):
            self._apply(timer)
        await note_replays([record], AGENT, timer.event, self._inbox, self._metrics)

    async def _read(self, record: Record) -> Timer:
        """Return the timer. Elsewhere than its key says, its topic has grown, or it is bad."""
        timer = parse_timer(record)
        # Whoever sends to a partition of their choice would leave an entry where nobody looks. The
        # table of a topic that has grown is built anew at the next start.
        if not self._is_placed(timer, record) and not await self._moved():
            raise ValidationFailedError("the message is not in the partition of its key")
        return timer

    def _is_placed(self, timer: Timer, record: Record) -> bool:
        return self._table.partition_of(timer.batch_id) == record.partition

    def _apply(self, timer: Timer) -> None:
        if isinstance(timer, Armed):
            entry = TimerEntry(
                timer.batch_id,
                timer.class_id,
                timer.pending_count,
                timer.confirm_by,
                timer.armed_at,
            )
            self._table.arm(entry)
        else:
            self._table.clear(timer.batch_id)
