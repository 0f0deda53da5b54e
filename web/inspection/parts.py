"""What one worker tells of its part of the table, and this process's own part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from tables.entries import (
    EntryPage,
    EntryQuery,
    Holding,
    Reconciliation,
    TableEntry,
    TableReport,
    WorkerTable,
)


@dataclass(frozen=True, slots=True)
class TablePart:
    """How much a worker has."""

    holding: Holding
    table: WorkerTable


@dataclass(frozen=True, slots=True)
class PagePart:
    """A worker's entries by ascending (`confirm_by`, `batch_id`); `more` where they go on."""

    holding: Holding
    entries: Sequence[TableEntry]
    more: bool


@dataclass(frozen=True, slots=True)
class EntryPart:
    """A worker's entry of a batch, None where it has none."""

    holding: Holding
    entry: TableEntry | None


@dataclass(frozen=True, slots=True)
class DriftPart:
    """The comparison that a worker makes now or made last, None where it has made none."""

    holding: Holding
    last: Reconciliation | None


class Part(Protocol):
    """A worker that can be asked. Each question may fail in any way, and take any time."""

    @property
    def worker(self) -> str:
        """Its name."""

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it is known to hold, though it may not answer."""

    async def table(self) -> TablePart:
        """Return how much it has."""

    async def pending(self, query: EntryQuery) -> PagePart:
        """Return a page of its entries."""

    async def pending_batch(self, batch_id: UUID) -> EntryPart:
        """Return its entry of a batch."""

    async def drift(self) -> DriftPart:
        """Return how its part differs from the database."""

    async def compare(self, *, repair: bool) -> DriftPart:
        """Have it compare anew; return what it knew before."""


class LocalTableProtocol(Protocol):
    """Looks into this process's part of the table."""

    def holding(self) -> Holding:
        """Return what this process holds."""

    async def tables(self) -> Sequence[TableReport]:
        """Return every table."""

    async def pending(self, query: EntryQuery) -> EntryPage:
        """Return entries of the table of pending associations."""

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        """Return one entry."""


class ReconcilerProtocol(Protocol):
    """Compares this process's part of the table with the database."""

    @property
    def last(self) -> Reconciliation | None:
        """The comparison that runs, or else the last one."""

    def request(self, *, repair: bool) -> None:
        """Have one start soon; returns at once."""


class LocalPart:
    """The part of this process itself."""

    def __init__(self, table: LocalTableProtocol, reconciler: ReconcilerProtocol) -> None:
        self._table = table
        self._reconciler = reconciler

    @property
    def worker(self) -> str:
        """The name of this worker."""
        return self._table.holding().worker

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it holds."""
        return self._table.holding().partitions

    async def table(self) -> TablePart:
        """Return how much it has."""
        holding = self._table.holding()
        (report,) = await self._table.tables()
        (table,) = report.workers
        return TablePart(holding, table)

    async def pending(self, query: EntryQuery) -> PagePart:
        """Return a page of its entries."""
        holding = self._table.holding()
        page = await self._table.pending(query)
        return PagePart(holding, page.entries, page.more)

    async def pending_batch(self, batch_id: UUID) -> EntryPart:
        """Return its entry of a batch."""
        holding = self._table.holding()
        return EntryPart(holding, await self._table.pending_batch(batch_id))

    async def drift(self) -> DriftPart:
        """Return how its part differs from the database."""
        return DriftPart(self._table.holding(), self._reconciler.last)

    async def compare(self, *, repair: bool) -> DriftPart:
        """Have it compare anew; return what it knew before."""
        before = await self.drift()
        self._reconciler.request(repair=repair)
        return before
