"""The stream tables, over all workers and of one."""

from web.schemas.base import Count, Id, Instant, Output


class WorkerTable(Output):
    """A worker's part of a table."""

    worker: str
    partitions: list[int]
    entries: Count
    recovered: bool
    changelog_lag: int
    reachable: bool


class Table(Output):
    """A table over all workers."""

    name: str
    entries: Count
    partitions: Count
    complete: bool
    workers: list[WorkerTable]


class Tables(Output):
    """The tables."""

    tables: list[Table]


class Entry(Output):
    """A pending batch in a worker's table."""

    batch_id: Id
    class_id: Id
    pending_count: Count
    confirm_by: Instant
    armed_at: Instant
    partition: Count
    worker: str


class EntryPage(Output):
    """Entries, soonest `confirm_by` first."""

    entries: list[Entry]
    next_cursor: str | None
    complete: bool


class BatchInDatabase(Output):
    """A batch's state in the database."""

    pending_count: Count
    confirm_by: Instant | None
    closed_at: Instant | None


class EntryInDetail(Entry):
    """An entry, and the batch's state in the database; null: it is not there."""

    database: BatchInDatabase | None


class WorkerDrift(Output):
    """What a worker found when it compared last; null where it never has."""

    worker: str
    reachable: bool
    running: bool | None
    repair: bool | None
    started_at: Instant | None
    finished_at: Instant | None
    checked: Count | None
    missing: Count | None
    stale: Count | None
    different: Count | None
    mended: Count | None
    examples: list[Id] | None


class Drift(Output):
    """How the table differs from the database."""

    complete: bool
    running: bool
    checked: Count
    missing: Count
    stale: Count
    different: Count
    mended: Count
    examples: list[Id]
    workers: list[WorkerDrift]


class Holding(Output):
    """The partitions that a worker holds."""

    worker: str
    partitions: list[int]
    recovered: bool


class PartTable(Output):
    """The size and state of this worker's part."""

    holding: Holding
    table: WorkerTable


class PartPage(Output):
    """Entries of this worker's part."""

    holding: Holding
    entries: list[Entry]
    more: bool


class PartEntry(Output):
    """A worker's entry of a batch, null if it has none."""

    holding: Holding
    entry: Entry | None


class Comparison(Output):
    """A comparison of this worker's part with the database."""

    running: bool
    repair: bool
    started_at: Instant
    finished_at: Instant | None
    checked: Count
    missing: Count
    stale: Count
    different: Count
    mended: Count
    examples: list[Id]


class PartDrift(Output):
    """A worker's running or last comparison, null if it has made none."""

    holding: Holding
    last: Comparison | None
