"""What the inspection of the stream tables shows (docs/contract.md, section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Holding:
    """What a worker holds of the table: all that is in these partitions, once `recovered`."""

    worker: str
    partitions: Sequence[int]
    recovered: bool


@dataclass(frozen=True, slots=True)
class WorkerTable:
    """One worker's part of a table."""

    worker: str
    partitions: Sequence[int]
    entries: int
    recovered: bool
    changelog_lag: int
    reachable: bool


@dataclass(frozen=True, slots=True)
class TableReport:
    """A table over all workers; `complete` is False where a worker did not answer."""

    name: str
    entries: int
    partitions: int
    complete: bool
    workers: Sequence[WorkerTable]


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A pending batch as a worker's table has it."""

    batch_id: UUID
    class_id: UUID
    pending_count: int
    confirm_by: datetime
    armed_at: datetime
    partition: int
    worker: str


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """Which entries to show; `after` is the last entry of the page before."""

    limit: int
    after: tuple[datetime, UUID] | None = None
    class_id: UUID | None = None
    due_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries by ascending (`confirm_by`, `batch_id`); `more` where the page ended early."""

    entries: Sequence[TableEntry]
    more: bool


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A comparison of the table with PostgreSQL, over this worker's partitions.

    `missing` are pending in PostgreSQL and not in the table, `stale` the other way round, and
    `different` have another deadline or count. `examples` are up to ten of them.
    """

    running: bool
    repair: bool
    started_at: datetime
    finished_at: datetime | None
    checked: int
    missing: int
    stale: int
    different: int
    mended: int
    examples: tuple[UUID, ...]
