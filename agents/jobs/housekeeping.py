"""What is done now and then: measuring the backlog, forgetting what is old."""

import asyncio
from typing import Final

from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.maintenance import MaintenanceProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

MEASURE_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 3600.0

#: Six times as long as `topics create` has dead letters kept: without its decision a letter that
#: was dropped would be open again.
DECISIONS_KEPT_DAYS: Final = 180

_log = get_logger(__name__)


class BacklogGauges:
    """Shows how much waits in the database."""

    def __init__(self, maintenance: MaintenanceProtocol, metrics: Metrics) -> None:
        self._maintenance = maintenance
        self._metrics = metrics

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            backlog = await self._maintenance.backlog()
            self._metrics.outbox_depth.set(backlog.outbox_depth)
            self._metrics.outbox_age.set(backlog.outbox_age_seconds)
            self._metrics.pending.set(backlog.pending_associations)
            self._metrics.parked.set(backlog.parked_messages)
            await asyncio.sleep(MEASURE_SECONDS)


class InboxPurge:
    """Forgets messages that were handled longer ago than the topics keep them."""

    def __init__(self, maintenance: MaintenanceProtocol, retention_days: int) -> None:
        self._maintenance = maintenance
        self._retention_days = retention_days

    async def run(self) -> None:
        """Purge for ever."""
        while True:
            purged = await self._maintenance.purge_inbox(self._retention_days)
            if purged:
                _log.info("inbox purged", rows=purged)
            await asyncio.sleep(PURGE_SECONDS)


class DecisionsPurge:
    """Forgets what was decided about dead letters that their topics no longer have."""

    def __init__(self, dead_letters: DeadLetterProtocol) -> None:
        self._dead_letters = dead_letters

    async def run(self) -> None:
        """Purge for ever."""
        while True:
            forgotten = await self._dead_letters.forget(DECISIONS_KEPT_DAYS)
            if forgotten:
                _log.info("decisions about dead letters forgotten", rows=forgotten)
            await asyncio.sleep(PURGE_SECONDS)
