"""Looks into the stream table of this worker; web/inspection/ asks the others."""

import heapq
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tables.entries import EntryPage, EntryQuery, Holding, TableEntry, TableReport, WorkerTable
from tables.names import PENDING_ASSOCIATIONS
from tables.pending import PendingTable, TimerEntry

_PAGE = 500


class TableInspector:
    """Reads the entries of the partitions that this worker owns."""

    def __init__(self, table: PendingTable, worker: str) -> None:
        self._table = table
        self._worker = worker

    def holding(self) -> Holding:
        """Return what this worker holds."""
        return Holding(self._worker, self._table.partitions(), self._table.recovered)

    async def tables(self) -> Sequence[TableReport]:
        """Return every table."""
        partitions = self._table.partitions()
        entries = await self._table.count()
        worker = WorkerTable(
            worker=self._worker,
            partitions=partitions,
            entries=entries,
            recovered=self._table.recovered,
            changelog_lag=self._table.changelog_lag(),
            reachable=True,
        )
        return [
            TableReport(
                PENDING_ASSOCIATIONS,
                entries,
                self._table.partition_count,
                self._complete(),
                [worker],
            )
        ]

    async def pending(self, query: EntryQuery) -> EntryPage:
        """Return entries by ascending (`confirm_by`, `batch_id`)."""
        page: list[TableEntry] = []
        async for entries in self._table.pages(_PAGE):
            fitting = [self._shown(p, entry) for p, entry in entries if _fits(entry, query)]
            page = heapq.nsmallest(query.limit + 1, [*page, *fitting], key=_order)
        return EntryPage(page[: query.limit], len(page) > query.limit, self._complete())

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        """Return one entry."""
        for partition in self._table.partitions():
            if entry := self._table.get(batch_id, partition):
                return self._shown(partition, entry)
        return None

    def _shown(self, partition: int, entry: TimerEntry) -> TableEntry:
        return TableEntry(
            batch_id=entry.batch_id,
            class_id=entry.class_id,
            pending_count=entry.pending_count,
            confirm_by=entry.confirm_by,
            armed_at=entry.armed_at,
            partition=partition,
            worker=self._worker,
        )

    def _complete(self) -> bool:
        return len(self._table.partitions()) == self._table.partition_count


def _order(entry: TableEntry) -> tuple[datetime, UUID]:
    return entry.confirm_by, entry.batch_id


def _fits(entry: TimerEntry, query: EntryQuery) -> bool:
    if query.class_id is not None and entry.class_id != query.class_id:
        return False
    if query.due_before is not None and entry.confirm_by >= query.due_before:
        return False
    return query.after is None or (entry.confirm_by, entry.batch_id) > query.after
