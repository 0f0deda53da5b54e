"""The views of a process: their services, and their installation on its App."""

from collections.abc import Sequence
from typing import Any

import faust
from aiohttp.web import TCPSite
from dishka.container import Container

from agents.jobs.worker_registry import WorkerList
from agents.kafka.partitioner import partitioning
from class_management.descriptors import connection_limits
from class_management.settings import SERVICE_NAME, Role, Settings, version
from class_management.tokens import HealthWithKeys
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.idempotency import IdempotencyProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol
from store.protocols.timers import TimerProtocol
from telemetry.metrics import Metrics
from web.console.desk import Desk
from web.console.sessions import SignIn
from web.console.table import WITH_CONSOLE
from web.inspection.cluster import Cluster
from web.inspection.parts import Part
from web.inspection.peers import PeerClient
from web.key_ring import KeyRing
from web.notifications.streams import Streams
from web.operations import Operation
from web.routes import install
from web.services import HealthProtocol, WebConfig, WebServices
from web.table import ROUTED, STREAM_OPERATIONS
from web.tokens import TokenCheck


def install_views(
    app: faust.App,
    settings: Settings,
    container: Container,
    workers: WorkerList,
    health: HealthProtocol,
    part: Part | None,
    ring: KeyRing | None,
    streams: Streams,
) -> PeerClient:
    """Install the views; return the client that asks the other workers, for the caller to close.

    `part` is this process's part of the table, None if it holds no partitions; `ring` are the keys
    of callers' tokens, None if they need no tokens.
    """
    keys = settings.internal_api_keys
    peers = PeerClient(SERVICE_NAME, keys[0] if keys else "")
    partitions = partitioning(settings.topic_partitions)
    cluster = Cluster(part, workers.peers, peers, partitions, settings.http_timeout_seconds)
    services = _services(settings, container, workers, health, part, ring, cluster, streams)
    install(app.web, app, services, _operations(settings))
    return peers


def _operations(settings: Settings) -> Sequence[Operation]:
    if settings.role is Role.STREAM:
        return STREAM_OPERATIONS
    return WITH_CONSOLE if settings.console else ROUTED


def _services(
    settings: Settings,
    container: Container,
    workers: WorkerList,
    health: HealthProtocol,
    part: Part | None,
    ring: KeyRing | None,
    cluster: Cluster,
    streams: Streams,
) -> WebServices:
    get = container.get
    return WebServices(
        classes=get(ClassRepositoryProtocol),
        associations=get(AssociationRepositoryProtocol),
        timers=get(TimerProtocol),
        queries=get(QueryProtocol),
        idempotency=get(IdempotencyProtocol),
        health=HealthWithKeys(health, ring) if ring else health,
        tables=cluster,
        part=part,
        own=workers.own,
        metrics=get(Metrics),
        config=_config(settings),
        streams=streams,
        tokens=TokenCheck(ring, settings.gateway_jwt_audiences, get(Metrics)) if ring else None,
        desk=Desk(get(StoryProtocol), get(SetAsideProtocol)),
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
