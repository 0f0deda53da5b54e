"""What the views need; the composition root gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from rules.models import Trace
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.timers import TimerProtocol
from tables.entries import EntryPage, EntryQuery, TableEntry, TableReport, WorkerTable
from telemetry.health import HealthReport
from telemetry.metrics import Metrics
from web.inspection.cluster import Drift
from web.inspection.merge import MergedPage
from web.inspection.parts import Part

__all__ = [
    "Drift",
    "EntryPage",
    "EntryQuery",
    "HealthProtocol",
    "HealthReport",
    "MergedPage",
    "Part",
    "TableEntry",
    "TableReport",
    "TablesProtocol",
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


class TablesProtocol(Protocol):
    """Looks into the stream tables of all workers."""

    async def tables(self, trace: Trace) -> Sequence[TableReport]:
        """Return every table."""

    async def pending(self, query: EntryQuery, trace: Trace) -> MergedPage:
        """Return entries of the table of pending associations."""

    async def pending_batch(self, batch_id: UUID, trace: Trace) -> TableEntry | None:
        """Return one entry, None where there is none.

        Raises WorkersUnreachableError where that cannot be told.
        """

    async def drift(self, trace: Trace) -> Drift:
        """Return how the table differs from the database, as it was found last."""

    async def compare(self, trace: Trace, *, repair: bool) -> Drift:
        """Have every worker compare anew; return what was known before."""


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
    """Everything the views call; `part` is None in a process that holds no partitions."""

    classes: ClassRepositoryProtocol
    associations: AssociationRepositoryProtocol
    timers: TimerProtocol
    queries: QueryProtocol
    health: HealthProtocol
    tables: TablesProtocol
    part: Part | None
    metrics: Metrics
    config: WebConfig
