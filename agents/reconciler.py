"""Brings the table of timers and PostgreSQL together, both ways."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from agents.partitions import partition_of
from rules.models import PendingBatch
from store.protocols import AssociationRepositoryProtocol
from tables.pending import PendingTable
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

PAGE: Final = 1000

_log = get_logger(__name__)


class Reconciler:
    """Mends the timers of this worker's partitions by having them published again."""

    def __init__(
        self,
        table: PendingTable,
        associations: AssociationRepositoryProtocol,
        metrics: Metrics,
        interval_seconds: float,
    ) -> None:
        self._table = table
        self._associations = associations
        self._metrics = metrics
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Reconcile when the table is there, at each change of its partitions, and at intervals."""
        while True:
            await self._table.ready()
            generation = self._table.generation
            mended = await self.reconcile()
            _log.info("reconciled", mended=mended, partitions=len(self._table.partitions()))
            await self._table.changed(generation, self._interval_seconds)

    async def reconcile(self) -> int:
        """Mend both ways; return how many timers that were."""
        return await self._arm_missing() + await self._clear_stale()

    async def _arm_missing(self) -> int:
        mended = 0
        after: UUID | None = None
        while page := await self._associations.pending_batches(after, PAGE):
            mended += await self._mend(self._differing(page))
            after = page[-1].batch_id
        return mended

    def _differing(self, batches: Sequence[PendingBatch]) -> list[UUID]:
        """Return those of this worker's batches of which the table says something else."""
        owned = set(self._table.partitions())
        count = self._table.partition_count
        own = [(b, partition_of(str(b.batch_id).encode(), count)) for b in batches]
        return [b.batch_id for b, p in own if p in owned and self._differs(b, p)]

    def _differs(self, batch: PendingBatch, partition: int) -> bool:
        entry = self._table.get(batch.batch_id, partition)
        return entry is None or (entry.pending_count, entry.confirm_by) != (
            batch.pending_count,
            batch.confirm_by,
        )

    async def _clear_stale(self) -> int:
        mended = 0
        async for entries in self._table.pages(PAGE):
            ids = [entry.batch_id for _, entry in entries]
            states = await self._associations.batch_states(ids)
            pending = {state.batch_id for state in states if state.pending_count}
            mended += await self._mend([i for i in ids if i not in pending])
        return mended

    async def _mend(self, batch_ids: Sequence[UUID]) -> int:
        if batch_ids:
            await self._associations.rearm(batch_ids)
            self._metrics.reconciled.inc(len(batch_ids))
            await asyncio.sleep(0)
        return len(batch_ids)
