"""Brings the table of timers and PostgreSQL together, both ways."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from agents.partitions import partition_of
from rules.models import PendingBatch
from store.protocols import AssociationRepositoryProtocol
from tables.entries import Reconciliation
from tables.pending import PendingTable
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

PAGE: Final = 1000
EXAMPLES: Final = 10

_log = get_logger(__name__)


class Reconciler:
    """Compares the timers of this worker's partitions, and has those that differ published again.

    `last` is the comparison that runs, or else the one that ran last.
    """

    def __init__(
        self,
        table: PendingTable,
        associations: AssociationRepositoryProtocol,
        metrics: Metrics,
        interval_seconds: float,
    ) -> None:
        self.last: Reconciliation | None = None
        self._table = table
        self._associations = associations
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._requested: bool | None = None
        self._request = asyncio.Event()

    def request(self, *, repair: bool) -> None:
        """Have a comparison start soon; `repair` mends what it finds."""
        self._requested = repair or bool(self._requested)
        self._request.set()

    async def run(self) -> None:
        """Compare when the table is there, when its partitions change, at intervals, on request.

        Only a request may leave what it finds as it is.
        """
        repair = True
        while True:
            await self._table.ready()
            generation = self._table.generation
            mended = await self.reconcile(repair=repair)
            _log.info("reconciled", mended=mended, partitions=len(self._table.partitions()))
            repair = await self._next(generation)

    async def reconcile(self, *, repair: bool = True) -> int:
        """Compare both ways; return how many timers were mended."""
        now = datetime.now(UTC)
        found = Reconciliation(
            running=True,
            repair=repair,
            started_at=now,
            finished_at=None,
            checked=0,
            missing=0,
            stale=0,
            different=0,
            mended=0,
            examples=(),
        )
        self.last = found
        try:
            await self._compare_database()
            await self._compare_table()
        finally:
            self.last = replace(self.last, running=False, finished_at=datetime.now(UTC))
        return self.last.mended

    async def _next(self, generation: int) -> bool:
        """Wait for a reason to compare again; return whether to mend then."""
        changed = asyncio.create_task(self._table.changed(generation, self._interval_seconds))
        asked = asyncio.create_task(self._request.wait())
        try:
            await asyncio.wait((changed, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            asked.cancel()
        repair = True if self._requested is None else self._requested
        self._requested = None
        self._request.clear()
        return repair

    async def _compare_database(self) -> None:
        after: UUID | None = None
        while page := await self._associations.pending_batches(after, PAGE):
            missing, different = self._differing(page)
            await self._found(missing + different, missing=len(missing), different=len(different))
            after = page[-1].batch_id

    def _differing(self, batches: Sequence[PendingBatch]) -> tuple[list[UUID], list[UUID]]:
        """Return those of this worker's batches that the table lacks, and has otherwise."""
        owned = set(self._table.partitions())
        count = self._table.partition_count
        missing: list[UUID] = []
        different: list[UUID] = []
        for batch in batches:
            partition = partition_of(str(batch.batch_id).encode(), count)
            if partition not in owned:
                continue
            self._count(checked=1)
            entry = self._table.get(batch.batch_id, partition)
            if entry is None:
                missing.append(batch.batch_id)
            elif (entry.pending_count, entry.confirm_by) != (batch.pending_count, batch.confirm_by):
                different.append(batch.batch_id)
        return missing, different

    async def _compare_table(self) -> None:
        async for entries in self._table.pages(PAGE):
            ids = [entry.batch_id for _, entry in entries]
            states = await self._associations.batch_states(ids)
            pending = {state.batch_id for state in states if state.pending_count}
            stale = [i for i in ids if i not in pending]
            self._count(checked=len(stale))
            await self._found(stale, stale=len(stale))

    async def _found(self, batch_ids: Sequence[UUID], **counts: int) -> None:
        """Take note of batches that differ, and mend them where that is wanted."""
        if not batch_ids or self.last is None:
            return
        self._count(**counts)
        examples = (*self.last.examples, *batch_ids)[:EXAMPLES]
        self.last = replace(self.last, examples=examples)
        if self.last.repair:
            await self._associations.rearm(batch_ids)
            self._metrics.reconciled.inc(len(batch_ids))
            self._count(mended=len(batch_ids))
            await asyncio.sleep(0)

    def _count(self, **counts: int) -> None:
        if self.last is not None:
            summed = {name: getattr(self.last, name) + more for name, more in counts.items()}
            self.last = replace(self.last, **summed)
