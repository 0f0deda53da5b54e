"""Tells what is missing from the changelog of the timers' table, without holding up its reading."""

import asyncio
from typing import Any, Final

from agents.consumers.dead_letters import dead_letter, undecodable_letter
from agents.kafka.retention import LostOffsets
from rules.models import Record
from store.protocols.inbox import InboxProtocol
from telemetry.metrics import Metrics

AGENT: Final = "changelog"


class ChangelogReports:
    """Dead-letters what was passed over.

    A partition is restored during a rebalance, for which a whole group waits; so this waits for the
    database instead. A worker that ends before that loses the letter; the log has its line.
    """

    def __init__(self, inbox: InboxProtocol, lost: LostOffsets, metrics: Metrics) -> None:
        self._inbox = inbox
        self._lost = lost
        self._metrics = metrics
        self._waiting: asyncio.Queue[Record] = asyncio.Queue()

    def passed_over(self, record: Record) -> None:
        """Have a batch dead-lettered for which a record stands."""
        self._waiting.put_nowait(record)

    def lost(self, place: Any, begin: int, end: int) -> None:  # noqa: ANN401  # Faust's or aiokafka's
        """Report offsets that were deleted before they were read."""
        self._lost.report(place, begin, end)

    async def run(self) -> None:
        """Dead-letter for ever."""
        while True:
            record = await self._waiting.get()
            if record.undecodable:
                letter = undecodable_letter(record, record.undecodable)
                await dead_letter([letter], AGENT, self._inbox, self._metrics)
