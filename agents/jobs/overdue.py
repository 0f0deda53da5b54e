"""The safety net of the timers: finds batches in PostgreSQL that should have been decided."""

import asyncio
from typing import Final

from agents.jobs.decisions import BATCHES_AT_ONCE, ClockDecisions
from agents.jobs.due import DueLoop
from store.protocols.timers import TimerProtocol

POLL_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 1.0
#: How long a busy due loop is left alone with its deadlines in memory.
PATIENCE_SECONDS: Final = 10.0


class OverdueLoop:
    """Leaves a flood to the due loop: both would try the same batches."""

    def __init__(self, timers: TimerProtocol, decisions: ClockDecisions, due: DueLoop) -> None:
        self._timers = timers
        self._decisions = decisions
        self._due = due

    async def run(self) -> None:
        """Poll; after a find, again at once."""
        clock = asyncio.get_running_loop().time
        polled_at = clock()
        while True:
            if self._due.behind and clock() - polled_at < PATIENCE_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                continue
            polled_at = clock()
            overdue = await self._timers.overdue(BATCHES_AT_ONCE, GRACE_SECONDS)
            decided = await self._decisions.decide(overdue, "overdue") if overdue else 0
            if not decided:
                await asyncio.sleep(POLL_SECONDS)
