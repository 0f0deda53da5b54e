"""What the views need; the composition root gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from store.protocols import AssociationRepositoryProtocol, ClassRepositoryProtocol
from telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the worker is. `checks` and `dependencies` map a name to "ok" or to what is wrong."""

    ok: bool
    checks: Mapping[str, str]
    dependencies: Mapping[str, str]


class HealthProtocol(Protocol):
    """Looks at progress and dependencies."""

    async def live(self) -> HealthReport:
        """Whether this process still makes progress; if not, only a restart helps."""

    async def ready(self) -> HealthReport:
        """Whether this process can serve requests now."""

    async def full(self) -> HealthReport:
        """Everything, for a person."""


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
    complete: bool


class TableInspectorProtocol(Protocol):
    """Looks into the stream tables."""

    async def tables(self) -> Sequence[TableReport]:
        """Return every table."""

    async def pending(self, query: EntryQuery) -> EntryPage:
        """Return entries of the table of pending associations."""

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        """Return one entry."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The settings that the views depend on."""

    service_name: str
    version: str
    environment: str
    internal_api_key: str | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything the views call."""

    classes: ClassRepositoryProtocol
    associations: AssociationRepositoryProtocol
    health: HealthProtocol
    tables: TableInspectorProtocol
    metrics: Metrics
    config: WebConfig
