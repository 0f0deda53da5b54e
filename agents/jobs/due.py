"""Decides the batches whose deadlines in memory have come."""

import asyncio
from typing import Final
from uuid import UUID

from agents.jobs.clock import DatabaseClock
from agents.jobs.decisions import BATCHES_AT_ONCE, ClockDecisions, repeat_at_once
from tables.deadlines import DeadlineIndex

#: The longest sleep without a deadline: PostgreSQL's clock may be set meanwhile.
MAX_SLEEP_SECONDS: Final = 1.0
#: Event loops count in milliseconds: a shorter sleep would not sleep.
MIN_SLEEP_SECONDS: Final = 0.001


class DueLoop:
    """Watches the deadlines of this worker's partitions."""

    def __init__(
        self, index: DeadlineIndex, clock: DatabaseClock, decisions: ClockDecisions
    ) -> None:
        self._index = index
        self._clock = clock
        self._decisions = decisions
        self._turn = asyncio.Lock()
        self.behind = False
        """Whether more is due than is being decided."""

    async def run(self) -> None:
        """Decide batches. `OverdueLoop` finds those that a failure left undecided."""
        try:
            await repeat_at_once(self._decide)
        finally:
            self.behind = False

    async def _decide(self) -> None:
        async with self._turn:
            due = await self._next()
        await self._decisions.decide(due, "timer")

    async def _next(self) -> list[UUID]:
        """Wait for batches that are due and return them."""
        while True:
            now = await self._clock.now()
            due = self._index.pop_due(now, BATCHES_AT_ONCE)
            self.behind = len(due) == BATCHES_AT_ONCE
            if due:
                return due
            deadline = self._index.next_deadline()
            ahead = (deadline - now).total_seconds() if deadline else MAX_SLEEP_SECONDS
            await self._index.wait(min(max(ahead, MIN_SLEEP_SECONDS), MAX_SLEEP_SECONDS))
