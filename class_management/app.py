"""The composition root: the Faust App with its agents, table, loops and views."""

import asyncio
import contextlib
import gc
import importlib.metadata
import logging
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any, Final, cast

import faust
import mode.loop
from aiohttp.web import TCPSite
from dishka.container import Container
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.consumer import Consumer
from mode.types import ServiceT
from redis.asyncio import Redis

from agents.faust_support.table_manager import PromptTableManager
from agents.faust_support.transport import use_own_transport
from agents.jobs.health import Probe, WebHealth
from agents.jobs.supervisor import Background, Loop
from agents.jobs.worker_registry import Presence, WorkerList
from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from class_management.address import database_server, kafka_servers, own_url, worker_name
from class_management.container import build_container
from class_management.preflight import preflight
from class_management.roles import Streaming
from class_management.settings import SERVICE_NAME, Role, Settings
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.maintenance import MaintenanceProtocol
from store.protocols.outbox import ClassEventPublisherProtocol, OutboxProtocol
from store.protocols.pool import PoolProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.timers import TimerProtocol
from store.protocols.workers import WorkerRegistryProtocol
from tables.inspection import TableInspector
from tables.partitions import partition_of
from tables.rocksdb import store_url
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.inspection.cluster import Cluster, Partitioning
from web.inspection.parts import LocalPart
from web.inspection.peers import PeerClient, PeerConfig
from web.middleware import application_options
from web.routes import OPERATIONS, VIEWS, install
from web.services import HealthProtocol, WebConfig, WebServices

DISTRIBUTION: Final = "class-management-service"
#: The shell's way to say which signal ended a program.
EXIT_BY_SIGNAL: Final = 128

#: A stop that takes longer waits for something that hangs.
STOP_SECONDS: Final = 8.0

COMMIT_SECONDS: Final = 1.0

#: Objects between two collections of the young: Python's 700 come together in a single batch of
#: messages, and take a tenth of the CPU there (bench/README.md).
GC_THRESHOLD: Final = 10_000

_log = get_logger(__name__)


class WorkerBoot(BootStrategy):
    """Starts the loops first, so that they do not wait for the consumer group."""

    def server(self) -> Iterable[ServiceT]:
        """Return the services of a process with streams, as they start; they stop in reverse."""
        return [self._background, *super().server()]

    def producer_only(self) -> Iterable[ServiceT]:
        """Return the services of a process that only answers HTTP: not even a producer."""
        return [self._background, *self.web_server()]

    @property
    def _background(self) -> Background:
        return cast("ClassManagementApp", self.app).background


class ClassManagementApp(faust.App):
    """The service as a Faust App; `container` and `pool` are always there, `streams` by role."""

    BootStrategy = WorkerBoot
    logger = logging.getLogger("faust.app")

    container: Container
    pool: PoolProtocol
    streams: Streaming | None
    background: Background

    def __init__(self, settings: Settings, container: Container) -> None:
        self.container = container
        self.pool = container.get(PoolProtocol)
        super().__init__(settings.kafka_consumer_group, **faust_options(settings, container))
        use_own_transport(self)
        self.streams = None
        if settings.role.has_streams:
            self.streams = Streaming(self, settings, container)
        else:
            self.producer_only = True
            share_port(self.web)
        registry = container.get(WorkerRegistryProtocol)
        self.workers = WorkerList(registry, self._presence(settings))
        self.peer_client = PeerClient(peer_config(settings))
        self.background = self._assemble(settings)

    async def on_first_start(self) -> None:
        """Make the folders of the table, where there is one."""
        if self.streams is not None:
            await super().on_first_start()

    async def on_started(self) -> None:
        """Say that everything has started; HTTP has been answering for a while by then."""
        await super().on_started()
        # A look for garbage among all objects stops everything for 80 to 90 ms, several times in a
        # flood of deadlines. What the start made stays for ever: it is left out from now on.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 10, 10)
        partitions = self.streams.table.partitions() if self.streams else []
        _log.info("ready", port=self.conf.web_port, partitions=len(partitions))

    async def stop(self) -> None:
        """Stop; broken off where a dependency hangs, since no promise needs a good end."""
        asyncio.get_running_loop().call_later(STOP_SECONDS, self._break_off)
        await asyncio.gather(self._commit_finished_work(), self.workers.withdraw())
        await super().stop()

    async def _commit_finished_work(self) -> None:
        """Spare the next worker what is done; `CarefulConsumer` commits nothing after this."""
        if self.streams is None:
            return
        with contextlib.suppress(Exception):  # whatever fails here, the inbox makes up for it
            async with asyncio.timeout(COMMIT_SECONDS):
                await cast("Consumer", self.consumer).force_commit()

    def _break_off(self) -> None:
        _log.warning("stop broken off", after_seconds=STOP_SECONDS)
        os._exit(1 if self.crash_reason else 0)

    async def on_shutdown(self) -> None:
        """Close what the container made, once nothing runs that might use it."""
        await super().on_shutdown()
        await self.peer_client.close()
        await self.container.get(ClassEventPublisherProtocol).close()
        await self.container.get(Redis).aclose()
        await self.pool.close()

    def _assemble(self, settings: Settings) -> Background:
        """Put the views on the App; return the loops of this process."""
        metrics = self.container.get(Metrics)
        metrics.pool_size.set_function(lambda: self.pool.size)
        metrics.pool_idle.set_function(lambda: self.pool.idle)
        loops: dict[str, Loop] = {"workers": self.workers.run}
        if self.streams is not None:
            self._install_views(settings, self.streams.health)
            loops |= self.streams.loops()
        else:
            database = Probe(self.container.get(MaintenanceProtocol).ping)
            self._install_views(settings, WebHealth(database))
            loops |= {
                "probe database": database.run,
                "outbox announcer": self.container.get(OutboxProtocol).announce,
            }
        return Background(loops, metrics)

    def _presence(self, settings: Settings) -> Presence | None:
        """Return how this worker is found by others, None where it has nothing to tell."""
        if self.streams is None:
            return None
        return Presence(
            worker_name(settings.port),
            lambda: advertised_url(settings),
            importlib.metadata.version(DISTRIBUTION),
            settings.role.value,
            self.streams.table,
        )

    def _install_views(self, settings: Settings, health: HealthProtocol) -> None:
        get = self.container.get
        key = settings.internal_api_key
        config = WebConfig(
            service_name=SERVICE_NAME,
            version=importlib.metadata.version(DISTRIBUTION),
            environment=settings.environment,
            internal_api_key=key.get_secret_value() if key else None,
            timeout_seconds=settings.http_timeout_seconds,
        )
        part = self._local_part(settings)
        services = WebServices(
            classes=get(ClassRepositoryProtocol),
            associations=get(AssociationRepositoryProtocol),
            timers=get(TimerProtocol),
            queries=get(QueryProtocol),
            health=health,
            tables=Cluster(
                part,
                self.workers,
                self.peer_client,
                partitioning(settings.topic_partitions),
                settings.http_timeout_seconds,
            ),
            part=part,
            metrics=get(Metrics),
            config=config,
        )
        install(self.web, self, services, OPERATIONS if settings.role is Role.STREAM else VIEWS)

    def _local_part(self, settings: Settings) -> LocalPart | None:
        if self.streams is None:
            return None
        inspector = TableInspector(self.streams.table, worker_name(settings.port))
        return LocalPart(inspector, self.streams.reconciler)


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


def advertised_url(settings: Settings) -> str:
    """Return where the other workers reach this one."""
    if settings.advertised_url is not None:
        return settings.advertised_url
    database = [] if settings.use_mock_repository else database_server(settings.database_url)
    servers = [*database, *kafka_servers(settings.kafka_bootstrap_servers)]
    return own_url(settings.host, settings.port, servers)


def partitioning(count: int) -> Partitioning:
    """Return in which partition a batch's entry is, as the producer of its timers has it."""
    return Partitioning(count, lambda batch_id: partition_of(batch_id, count))


def peer_config(settings: Settings) -> PeerConfig:
    """Return as whom this worker asks others; without a key they refuse, as it would itself."""
    key = settings.internal_api_key
    return PeerConfig(SERVICE_NAME, key.get_secret_value() if key else "")


def create_app(settings: Settings) -> ClassManagementApp:
    """Return a worker's App."""
    return ClassManagementApp(settings, build_container(settings))


def faust_options(settings: Settings, container: Container) -> dict[str, Any]:
    """Return the options of the Faust App; why each is so stands in docs/architecture.md."""
    session = settings.kafka_session_timeout_seconds
    options = {
        "broker": [f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
        "broker_credentials": _credentials(container.get(KafkaConfig)),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_request_timeout": max(4 * session, 40.0),
        "broker_max_poll_interval": 24 * 3600.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": settings.kafka_group_instance_id,
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES,
        "producer_max_request_size": 2 * MAX_MESSAGE_BYTES,
        "stream_wait_empty": False,
        "table_standby_replicas": 0,
        "recovery_consistency_check": False,
        "topic_partitions": settings.topic_partitions,
        "topic_replication_factor": settings.topic_replication_factor,
        "topic_disable_leader": True,
        "store": store_url(),
        "TableManager": PromptTableManager,
        "datadir": settings.data_dir,
        "web_bind": settings.host,
        "web_port": settings.port,
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "web_graph_enabled": False,
        "web_stats_enabled": False,
        "web_metrics_enabled": False,
        "web_application_options": application_options(),
        "autodiscover": False,
    }
    if settings.kafka_embedded:
        # That broker counts a batch of several records as one when asked where a log ends.
        options["producer_max_batch_size"] = 1
    return options


def _credentials(kafka: KafkaConfig) -> SASLCredentials | SSLCredentials | None:
    context = kafka.ssl_context()
    if kafka.uses_sasl:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return SSLCredentials(context=context) if context else None


class Worker(faust.Worker):
    """Faust's worker, for which a stop in the middle of the start is no error."""

    logger = logging.getLogger("faust.worker")

    async def start(self) -> None:
        """Start; what a stop interrupts may fail in any way, and has not failed."""
        try:
            await super().start()
        except Exception as error:
            if self._signal_stop_time is None:
                raise
            _log.info("start broken off by a stop", exc_info=error)


def run_worker(settings: Settings) -> None:
    """Run the service until SIGINT or SIGTERM, and end the process."""
    mode.loop.use("uvloop")
    if settings.role.has_streams:
        settings.data_dir.parent.mkdir(parents=True, exist_ok=True)
    _await_prerequisites(settings)
    app = create_app(settings)
    worker = Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()  # ends the process with its own exit code


def _await_prerequisites(settings: Settings) -> None:
    """Run the preflight; a signal ends it, also where this is a container's first process."""

    def end(number: int, _frame: object) -> None:
        sys.exit(EXIT_BY_SIGNAL + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    asyncio.run(preflight(settings))
