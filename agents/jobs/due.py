"""Has the store decide what is due."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from agents.jobs.clock import DatabaseClock
from store.protocols.timers import DecidedByClock, TimerProtocol
from tables.deadlines import DeadlineIndex
from tables.pending import PendingTable
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

BATCHES_AT_ONCE: Final = 250
#: While PostgreSQL works on one call, the events of another are built.
CALLS_AT_ONCE: Final = 2
#: Between two looks when no deadline comes: PostgreSQL's clock may have been set meanwhile.
MAX_SLEEP_SECONDS: Final = 1.0
#: Event loops count in milliseconds: a shorter sleep would be none.
MIN_SLEEP_SECONDS: Final = 0.001
OVERDUE_POLL_SECONDS: Final = 1.0
OVERDUE_GRACE_SECONDS: Final = 1.0
#: How long the net leaves to a busy due loop what that has in memory anyway.
OVERDUE_PATIENCE_SECONDS: Final = 10.0
HORIZON_LOOK_SECONDS: Final = 1.0

_log = get_logger(__name__)


class ClockDecisions:
    """Decides batches and tells how late that was."""

    def __init__(self, timers: TimerProtocol, metrics: Metrics) -> None:
        self._timers = timers
        self._metrics = metrics
        self._at_once = BATCHES_AT_ONCE

    async def decide(self, batch_ids: Sequence[UUID], found_by: str) -> int:
        """Decide what is due in these batches, in as many transactions as that takes.

        Returns how many essays that were.
        """
        essays = 0
        left = tuple(batch_ids)
        while left:
            asked, left = left[: self._at_once], left[self._at_once :]
            decided = await self._timers.decide_due(asked)
            self._learn(len(asked), len(decided.left))
            self._tell(decided, len(asked) - len(decided.left), found_by)
            left = decided.left + left
            essays += decided.essays
        return essays

    def _learn(self, asked: int, left: int) -> None:
        """Ask next time for about as many batches as fit: each that does not is counted in vain."""
        if left:
            self._at_once = (asked - left) * 5 // 4 + 1
        elif asked == self._at_once:
            self._at_once = min(2 * asked, BATCHES_AT_ONCE)

    def _tell(self, decided: DecidedByClock, batches: int, found_by: str) -> None:
        for seconds in decided.lateness:
            self._metrics.timer_lateness.observe(seconds)
        if decided.essays:
            _log.info(
                "decided by the clock",
                batches=batches,
                essays=decided.essays,
                found_by=found_by,
                latest_seconds=round(max(decided.lateness), 3),
            )


class DueLoop:
    """Follows the deadlines in memory, those of this worker's partitions."""

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
        """Decide for ever. What a failure left undecided is found by `OverdueLoop`."""
        callers = [asyncio.ensure_future(self._decide()) for _ in range(CALLS_AT_ONCE)]
        try:
            await asyncio.gather(*callers)
        finally:
            self.behind = False
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)

    async def _decide(self) -> None:
        while True:
            async with self._turn:
                due = await self._next()
            await self._decisions.decide(due, "timer")

    async def _next(self) -> list[UUID]:
        """Return batches that are due, as soon as there are any."""
        while True:
            now = await self._clock.now()
            due = self._index.pop_due(now, BATCHES_AT_ONCE)
            self.behind = len(due) == BATCHES_AT_ONCE
            if due:
                return due
            deadline = self._index.next_deadline()
            ahead = (deadline - now).total_seconds() if deadline else MAX_SLEEP_SECONDS
            await self._index.wait(min(max(ahead, MIN_SLEEP_SECONDS), MAX_SLEEP_SECONDS))


class HorizonLoop:
    """Keeps the next deadlines in memory, at each rebalance and as time goes."""

    def __init__(self, table: PendingTable, clock: DatabaseClock) -> None:
        self._table = table
        self._clock = clock

    async def run(self) -> None:
        """Load for ever."""
        while True:
            await self._table.ready()
            generation = self._table.generation
            await self._table.load(await self._clock.now())
            while generation == self._table.generation:
                await self._table.changed(generation, HORIZON_LOOK_SECONDS)
                if self._table.needs_loading(await self._clock.now()):
                    break


class OverdueLoop:
    """The net under the timers: looks in PostgreSQL for what should have been decided.

    A flood that the due loop is working on is left to it: both would try the same batches.
    """

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
            if self._due.behind and clock() - looked_at < OVERDUE_PATIENCE_SECONDS:
                await asyncio.sleep(OVERDUE_POLL_SECONDS)
                continue
            looked_at = clock()
            overdue = await self._timers.overdue(BATCHES_AT_ONCE, OVERDUE_GRACE_SECONDS)
            decided = await self._decisions.decide(overdue, "overdue") if overdue else 0
            if not decided:
                await asyncio.sleep(OVERDUE_POLL_SECONDS)
