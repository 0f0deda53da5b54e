"""What the composition root gives the views."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rules.models import Policy
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.feed import FeedProtocol
from store.protocols.idempotency import IdempotencyProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.timers import TimerProtocol
from store.protocols.workers import WorkerRecord
from telemetry.health import HealthReport
from telemetry.metrics import Metrics
from web.console.desk import Desk
from web.console.sessions import SignIn
from web.inspection.cluster import Cluster
from web.inspection.parts import Part
from web.limits import ConnectionLimits
from web.notifications.streams import Streams
from web.planning.planner import Planner
from web.tokens import TokenCheck


class HealthProtocol(Protocol):
    """Checks progress and dependencies."""

    async def live(self) -> HealthReport:
        """Whether this process makes progress; if not, only a restart helps."""

    async def ready(self) -> HealthReport:
        """Whether this process can serve requests now."""

    async def full(self) -> HealthReport:
        """Everything, for a person to read."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The settings that the views depend on."""

    service_name: str
    version: str
    environment: str
    internal_api_keys: Sequence[str]
    timeout_seconds: float
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    #: Of pages that a browser may let call the service.
    origins: frozenset[str] = frozenset()
    #: Whether there are pages for people, and how teachers say on them who they are.
    console: bool = True
    sign_in: SignIn = SignIn.GATEWAY
    #: From which confidence the clock keeps a suggested student.
    high_confidence: float = field(default_factory=lambda: Policy().high_confidence)
    #: Whether changes are remembered, so that there is something to tell of them.
    changes: bool = True


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything the views call; `part` is None in a process that holds no partitions.

    `own` returns this process as it has announced itself to other workers, if it has. `tokens` is
    None where the gateway is trusted to say who is calling, `desk` where operators have no pages.
    """

    classes: ClassRepositoryProtocol
    associations: AssociationRepositoryProtocol
    timers: TimerProtocol
    queries: QueryProtocol
    idempotency: IdempotencyProtocol
    imports: ImportsProtocol
    feed: FeedProtocol
    health: HealthProtocol
    tables: Cluster
    part: Part | None
    own: Callable[[], WorkerRecord | None]
    metrics: Metrics
    config: WebConfig
    streams: Streams
    tokens: TokenCheck | None = None
    desk: Desk | None = None
    planner: Planner = field(default_factory=Planner)
