"""The views of a process: what they call, and how they are installed on its App."""

import importlib.metadata
from typing import Any, Final

import faust
from aiohttp.web import TCPSite
from dishka.container import Container

from agents.jobs.worker_registry import WorkerList
from agents.kafka.partitioner import partitioning
from class_management.settings import SERVICE_NAME, Role, Settings
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.timers import TimerProtocol
from telemetry.metrics import Metrics
from web.inspection.cluster import Cluster
from web.inspection.parts import Part
from web.inspection.peers import PeerClient
from web.routes import OPERATIONS, VIEWS, install
from web.services import HealthProtocol, WebConfig, WebServices

DISTRIBUTION: Final = "class-management-service"


class Views:
    """The views of a process, over its own part of the table and those of the other workers."""

    def __init__(self, settings: Settings, container: Container, workers: WorkerList) -> None:
        self._settings = settings
        self._container = container
        self._workers = workers
        self._peers = PeerClient(SERVICE_NAME, _internal_key(settings) or "")

    def install(self, app: faust.App, health: HealthProtocol, part: Part | None) -> None:
        """Install them; `part` is None in a process that holds no partitions."""
        views = OPERATIONS if self._settings.role is Role.STREAM else VIEWS
        install(app.web, app, self._services(health, part), views)

    async def close(self) -> None:
        """Close the connections to the other workers."""
        await self._peers.close()

    def _services(self, health: HealthProtocol, part: Part | None) -> WebServices:
        get, settings = self._container.get, self._settings
        return WebServices(
            classes=get(ClassRepositoryProtocol),
            associations=get(AssociationRepositoryProtocol),
            timers=get(TimerProtocol),
            queries=get(QueryProtocol),
            health=health,
            tables=Cluster(
                part,
                self._workers.peers,
                self._peers,
                partitioning(settings.topic_partitions),
                settings.http_timeout_seconds,
            ),
            part=part,
            metrics=get(Metrics),
            config=WebConfig(
                service_name=SERVICE_NAME,
                version=version(),
                environment=settings.environment,
                internal_api_key=_internal_key(settings),
                timeout_seconds=settings.http_timeout_seconds,
            ),
        )


def version() -> str:
    """Return the version of what is installed."""
    return importlib.metadata.version(DISTRIBUTION)


def share_port(web: Any) -> None:  # noqa: ANN401  # what is needed is private in Faust
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


def _internal_key(settings: Settings) -> str | None:
    """Return the key that workers send each other; without one they refuse each other."""
    key = settings.internal_api_key
    return key.get_secret_value() if key else None
