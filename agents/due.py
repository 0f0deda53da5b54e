"""Has the store decide what is due."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from agents.clock import DatabaseClock
from store.protocols import AssociationRepositoryProtocol
from tables.deadlines import DeadlineIndex
from tables.pending import PendingTable
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

BATCHES_AT_ONCE: Final = 200
TICK_SECONDS: Final = 0.05
HORIZON_LOOK_SECONDS: Final = 1.0
OVERDUE_POLL_SECONDS: Final = 2.0
OVERDUE_GRACE_SECONDS: Final = 2.0

_log = get_logger(__name__)


class ClockDecisions:
    """Decides batches and tells how late that was."""

    def __init__(self, associations: AssociationRepositoryProtocol, metrics: Metrics) -> None:
        self._associations = associations
        self._metrics = metrics

    async def decide(self, batch_ids: Sequence[UUID], found_by: str) -> int:
        """Decide what is due in these batches; return how many essays were."""
        decided = await self._associations.decide_due(batch_ids)
        for seconds in decided.lateness:
            self._metrics.timer_lateness.observe(seconds)
        if decided.essays:
            _log.info(
                "decided by the clock",
                batches=len(batch_ids),
                essays=decided.essays,
                found_by=found_by,
                latest_seconds=round(max(decided.lateness), 3),
            )
        return decided.essays


class DueLoop:
    """Follows the deadlines in memory, those of this worker's partitions."""

    def __init__(
        self, index: DeadlineIndex, clock: DatabaseClock, decisions: ClockDecisions
    ) -> None:
        self._index = index
        self._clock = clock
        self._decisions = decisions

    async def run(self) -> None:
        """Decide for ever. What a failure left undecided is found by `OverdueLoop`."""
        while True:
            due = self._index.pop_due(await self._clock.now(), BATCHES_AT_ONCE)
            if due:
                await self._decisions.decide(due, "timer")
            else:
                await asyncio.sleep(TICK_SECONDS)


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
    """The net under the timers: looks in PostgreSQL for what should have been decided."""

    def __init__(
        self, associations: AssociationRepositoryProtocol, decisions: ClockDecisions
    ) -> None:
        self._associations = associations
        self._decisions = decisions

    async def run(self) -> None:
        """Look for ever; a full page is followed by the next at once."""
        while True:
            overdue = await self._associations.overdue(BATCHES_AT_ONCE, OVERDUE_GRACE_SECONDS)
            decided = await self._decisions.decide(overdue, "overdue") if overdue else 0
            if not decided:
                await asyncio.sleep(OVERDUE_POLL_SECONDS)
