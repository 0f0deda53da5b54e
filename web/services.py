"""What the views need; the composition root gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from store.protocols import AssociationRepositoryProtocol, ClassRepositoryProtocol
from tables.entries import EntryPage, EntryQuery, TableEntry, TableReport, WorkerTable
from telemetry.health import HealthReport
from telemetry.metrics import Metrics

__all__ = [
    "EntryPage",
    "EntryQuery",
    "HealthProtocol",
    "HealthReport",
    "TableEntry",
    "TableInspectorProtocol",
    "TableReport",
    "WebConfig",
    "WebServices",
    "WorkerTable",
]


class HealthProtocol(Protocol):
    """Looks at progress and dependencies."""

    async def live(self) -> HealthReport:
        """Whether this process still makes progress; if not, only a restart helps."""

    async def ready(self) -> HealthReport:
        """Whether this process can serve requests now."""

    async def full(self) -> HealthReport:
        """Everything, for a person."""


class TableInspectorProtocol(Protocol):
    """Looks into the stream tables."""

    async def tables(self) -> Sequence[TableReport]:
        """Return every table."""

    async def pending(self, query: EntryQuery) -> EntryPage:
        """Return entries of the table of pending associations."""

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        """Return one entry, None where no worker has it."""


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
