"""The net under the timers: looks in PostgreSQL for what should have been decided."""

import asyncio
from typing import Final

from agents.jobs.decisions import BATCHES_AT_ONCE, ClockDecisions
from agents.jobs.due import DueLoop
from store.protocols.timers import TimerProtocol

POLL_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 1.0
#: How long a busy due loop is left alone with what it has in memory anyway.
PATIENCE_SECONDS: Final = 10.0


class OverdueLoop:
    """A flood that the due loop is working on is left to it: both would try the same batches."""

    def __init__(
        self,
        timers: TimerProtocol,
        decisions: ClockDecisions,
        due: DueLoop,
    ) -> None:
        self._timers = timers
        self._decisions = decisions
        self._due = due

    async def run(self) -> None:
        """Look for ever; what was found is followed by the next look at once."""
        clock = asyncio.get_running_loop().time
        looked_at = clock()
        while True:
            if self._due.behind and clock() - looked_at < PATIENCE_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                continue
            looked_at = clock()
            overdue = await self._timers.overdue(BATCHES_AT_ONCE, GRACE_SECONDS)
            decided = await self._decisions.decide(overdue, "overdue") if overdue else 0
            if not decided:
                await asyncio.sleep(POLL_SECONDS)
