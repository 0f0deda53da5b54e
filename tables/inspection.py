"""Inspects the stream table of this worker; web/inspection/ asks the others."""

from collections.abc import Sequence
from uuid import UUID

from tables.codec import CLASS_ID, TimerEntry, instant_bytes, key_of, unpack
from tables.entries import EntryPage, EntryQuery, Holding, TableEntry, WorkerTable
from tables.pending import PendingTable
from tables.scan import Row
from tables.soonest import FIRST, LAST, Found, Rank, Soonest


class TableInspector:
    """Reads this worker's part of the table."""

    def __init__(self, table: PendingTable, worker: str) -> None:
        self._table = table
        self._worker = worker

    def holding(self) -> Holding:
        """Return what this worker holds."""
        return Holding(self._worker, self._table.partitions(), self._table.recovered)

    async def table(self) -> WorkerTable:
        """Return the size and state of this worker's part."""
        return WorkerTable(
            worker=self._worker,
            partitions=self._table.partitions(),
            entries=await self._table.count(),
            recovered=self._table.recovered,
            changelog_lag=self._table.changelog_lag(),
            reachable=True,
        )

    async def pending(self, query: EntryQuery) -> EntryPage:
        """Return entries by ascending (`confirm_by`, `batch_id`)."""
        # A row in a wrong partition would come twice, or for ever.
        collector = Soonest(query.limit + 1, *_bounds(query), belongs=self._belongs)
        async for partition, rows in self._table.rows():
            collector.offer(_of_class(rows, query.class_id), partition)
        found = [self._entry(p, unpack(rank[1], value)) for rank, value, p in collector.found()]
        return EntryPage(found[: query.limit], len(found) > query.limit)

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        """Return a batch's entry, None if this worker does not have it."""
        partition = self._table.partition_of(batch_id)
        entry = self._table.get(batch_id, partition)
        return self._entry(partition, entry) if entry else None

    def _belongs(self, found: Found) -> bool:
        (_, key), value, partition = found
        return self._table.belongs(key, value, partition)

    def _entry(self, partition: int, entry: TimerEntry) -> TableEntry:
        return TableEntry(
            batch_id=entry.batch_id,
            class_id=entry.class_id,
            pending_count=entry.pending_count,
            confirm_by=entry.confirm_by,
            armed_at=entry.armed_at,
            partition=partition,
            worker=self._worker,
        )


def _bounds(query: EntryQuery) -> tuple[Rank, Rank]:
    """Return the ranks between which the entries of a query are."""
    after, until = FIRST, LAST
    if query.after is not None:
        after = (instant_bytes(query.after[0]), key_of(query.after[1]))
    if query.due_before is not None:
        until = (instant_bytes(query.due_before), b"")
    return after, until


def _of_class(rows: Sequence[Row], class_id: UUID | None) -> Sequence[Row]:
    if class_id is None:
        return rows
    wanted = class_id.bytes
    return [row for row in rows if row[1][CLASS_ID] == wanted]
