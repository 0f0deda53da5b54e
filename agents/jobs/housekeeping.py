"""Measures the backlog, deletes old rows, and divides the changes into weeks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from math import nan
from typing import Final

from rules.errors import StoreUnavailableError
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.maintenance import Backlog, MaintenanceProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

MEASURE_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 3600.0

#: Six times the retention of dead letters that `topics create` sets: without its decision a
#: dropped letter would be open again.
DECISIONS_KEPT_DAYS: Final = 180

_log = get_logger(__name__)


class BacklogGauges:
    """Publishes the database's backlog as metrics."""

    def __init__(self, maintenance: MaintenanceProtocol, metrics: Metrics) -> None:
        self._maintenance = maintenance
        self._metrics = metrics

    async def run(self) -> None:
        """Measure at intervals; what cannot be measured is shown as unknown."""
        while True:
            try:
                self._show(await self._maintenance.backlog())
            except StoreUnavailableError:
                self._show_unknown()
                raise
            await asyncio.sleep(MEASURE_SECONDS)

    def _show(self, backlog: Backlog) -> None:
        self._metrics.outbox_depth.set(backlog.outbox_depth)
        self._metrics.outbox_age.set(backlog.outbox_age_seconds)
        self._metrics.pending.set(backlog.pending_associations)
        self._metrics.parked.set(backlog.parked_messages)

    def _show_unknown(self) -> None:
        metrics = self._metrics
        for gauge in (metrics.outbox_depth, metrics.outbox_age, metrics.pending, metrics.parked):
            gauge.set(nan)


class Purge:
    """Deletes old rows and logs `event` with their number."""

    def __init__(self, delete: Callable[[], Awaitable[int]], event: str) -> None:
        self._delete = delete
        self._event = event

    async def run(self) -> None:
        """Purge at intervals."""
        while True:
            rows = await self._delete()
            if rows:
                _log.info(self._event, rows=rows)
            await asyncio.sleep(PURGE_SECONDS)


class ChangesTurnover:
    """Makes room for the changes of the weeks to come, and drops those of old ones."""

    def __init__(self, maintenance: MaintenanceProtocol, kept: timedelta) -> None:
        self._maintenance = maintenance
        self._kept = kept
        self._said = False

    async def run(self) -> None:
        """Look at intervals."""
        while True:
            turnover = await self._maintenance.turn_over_changes(self._kept)
            if turnover.made or turnover.dropped:
                _log.info("weeks of changes", made=turnover.made, dropped=turnover.dropped)
            if turnover.refused and not self._said:
                self._said = True
                _log.warning("no weeks of changes: the account does not own the table")
            await asyncio.sleep(PURGE_SECONDS)


def inbox_purge(maintenance: MaintenanceProtocol, retention_days: int) -> Purge:
    """Return the purge of messages handled so long ago that their topics no longer have them."""
    return Purge(lambda: maintenance.purge_inbox(retention_days), "inbox purged")


def keys_purge(maintenance: MaintenanceProtocol) -> Purge:
    """Return the purge of answers whose idempotency keys are free again."""
    return Purge(maintenance.purge_keys, "idempotency keys purged")


def deleted_classes_purge(maintenance: MaintenanceProtocol, retention_days: int) -> Purge:
    """Return the purge of classes deleted so long ago that no topic has a message for them."""
    return Purge(
        lambda: maintenance.purge_deleted_classes(retention_days), "deleted classes forgotten"
    )


def decisions_purge(dead_letters: DeadLetterProtocol) -> Purge:
    """Return the purge of decisions about dead letters that their topics no longer have."""
    return Purge(
        lambda: dead_letters.forget(DECISIONS_KEPT_DAYS), "decisions about dead letters forgotten"
    )


def imports_purge(imports: ImportsProtocol) -> Purge:
    """Return the purge of plans that nobody applied, and of what can be undone no more."""
    return Purge(imports.expire_imports, "plans of imports expired")
