"""The views of a process: their services, and their installation on its App."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import faust
from aiohttp.web import TCPSite
from dishka.container import Container

from agents.jobs.worker_registry import WorkerList
from agents.kafka.config import KafkaConfig
from agents.kafka.partitioner import partitioning
from class_management.descriptors import connection_limits
from class_management.settings import SERVICE_NAME, Role, Settings, version
from class_management.tokens import HealthWithKeys
from class_management.topic_desk import Letters, TopicDesk, TopicEvents
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.feed import FeedProtocol
from store.protocols.idempotency import IdempotencyProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.overview import OverviewProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol
from store.protocols.timers import TimerProtocol
from telemetry.metrics import Metrics
from telemetry.status import StatusReport
from web.console.desk import Desk
from web.console.figures import Figures
from web.console.sessions import SignIn
from web.console.table import WITH_CONSOLE
from web.inspection.cluster import SHARE_OF_TIME, Cluster
from web.inspection.parts import Part
from web.inspection.peers import PeerClient
from web.key_ring import KeyRing
from web.notifications.streams import Streams
from web.operations import Operation
from web.routes import install
from web.services import HealthProtocol, WebConfig, WebServices
from web.table import ROUTED, STREAM_OPERATIONS
from web.tokens import TokenCheck


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process is made of, as far as its views show it or ask it.

    `part` is its part of the table, None if it holds no partitions; `ring` are the keys of callers'
    tokens, None if they need no tokens.
    """

    workers: WorkerList
    health: HealthProtocol
    status: StatusReport
    part: Part | None
    ring: KeyRing | None
    streams: Streams


def install_views(
    app: faust.App, settings: Settings, container: Container, parts: Parts
) -> PeerClient:
    """Install the views; return the client that asks other workers, for the caller to close."""
    keys = settings.internal_api_keys
    peers = PeerClient(SERVICE_NAME, keys[0] if keys else "")
    partitions = partitioning(settings.topic_partitions)
    seconds = settings.http_timeout_seconds
    cluster = Cluster(parts.part, parts.workers.peers, peers, partitions, seconds)
    services = _services(settings, container, parts, cluster)
    install(app.web, services, _operations(settings))
    return peers


def _operations(settings: Settings) -> Sequence[Operation]:
    if settings.role is Role.STREAM:
        return STREAM_OPERATIONS
    return WITH_CONSOLE if settings.console else ROUTED


def _services(
    settings: Settings, container: Container, parts: Parts, cluster: Cluster
) -> WebServices:
    ring = parts.ring
    get = container.get
    return WebServices(
        classes=get(ClassRepositoryProtocol),
        associations=get(AssociationRepositoryProtocol),
        timers=get(TimerProtocol),
        queries=get(QueryProtocol),
        idempotency=get(IdempotencyProtocol),
        imports=get(ImportsProtocol),
        feed=get(FeedProtocol),
        health=HealthWithKeys(parts.health, ring) if ring else parts.health,
        tables=cluster,
        part=parts.part,
        own=parts.workers.own,
        metrics=get(Metrics),
        config=_config(settings),
        streams=parts.streams,
        tokens=TokenCheck(ring, settings.gateway_jwt_audiences, get(Metrics)) if ring else None,
        desk=_desk(settings, container, parts.status),
    )


def _desk(settings: Settings, container: Container, status: StatusReport) -> Desk:
    get = container.get
    topics = TopicDesk(get(KafkaConfig))
    return Desk(
        stories=get(StoryProtocol),
        set_aside=get(SetAsideProtocol),
        figures=Figures(get(OverviewProtocol), settings.http_timeout_seconds * SHARE_OF_TIME),
        status=status.now,
        letters=Letters(topics, get(DeadLetterProtocol)),
        events=TopicEvents(topics, settings.policy.suggestion_retry),
    )


def _config(settings: Settings) -> WebConfig:
    return WebConfig(
        service_name=SERVICE_NAME,
        version=version(),
        environment=settings.environment,
        internal_api_keys=settings.internal_api_keys,
        timeout_seconds=settings.http_timeout_seconds,
        limits=connection_limits(settings),
        origins=settings.allowed_origins,
        console=settings.console and settings.role is not Role.STREAM,
        sign_in=SignIn(settings.console_sign_in),
        high_confidence=settings.high_confidence_threshold,
        changes=settings.changes,
    )


def share_port(web: Any) -> None:  # noqa: ANN401  # Faust keeps the runner private
    """Let several processes listen at one port: the kernel spreads the connections over them."""

    def site() -> TCPSite:
        conf = web.app.conf
        return TCPSite(
            web._runner,  # noqa: SLF001
            conf.web_bind,
            conf.web_port,
            reuse_port=True,
        )

    web._transport_handlers["tcp"] = site  # noqa: SLF001
