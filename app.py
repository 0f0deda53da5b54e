"""The composition root: the Faust App with its agents, table, loops and views."""

import asyncio
import contextlib
import gc
import importlib.metadata
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable
from typing import Any, Final, cast

import faust
import mode.loop
from dishka.container import Container
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.consumer import Consumer
from mode.types import ServiceT
from redis.asyncio import Redis

from agents.background import Background, Loop
from agents.clock import DatabaseClock
from agents.due import ClockDecisions, DueLoop, HorizonLoop, OverdueLoop
from agents.health import Probe, WorkerHealth
from agents.housekeeping import BacklogGauges, InboxPurge
from agents.kafka import MAX_MESSAGE_BYTES, KafkaConfig
from agents.notifications import RealTimePusher
from agents.parked import ParkedRetry
from agents.reconciler import Reconciler
from agents.relay import OutboxRelay
from agents.stream_watch import StreamWatch
from agents.streams import CONSUMED, StreamHandlers, register
from agents.suggestions import SuggestionsIntake
from agents.timers import TimerWriter
from agents.transport import use_own_transport
from preflight import preflight
from providers import build_container
from settings import SERVICE_NAME, Settings
from store.pool import PoolProtocol
from store.protocols import (
    AssociationRepositoryProtocol,
    ClassEventPublisherProtocol,
    ClassRepositoryProtocol,
    MaintenanceProtocol,
    OutboxProtocol,
)
from tables.inspection import TableInspector
from tables.manager import PromptTableManager
from tables.pending import PendingTable
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.middleware import application_options
from web.routes import install
from web.services import WebConfig, WebServices

DISTRIBUTION: Final = "class-management-service"
#: The shell's way to say which signal ended a program.
EXIT_BY_SIGNAL: Final = 128

#: A stop that takes longer waits for something that hangs.
STOP_SECONDS: Final = 8.0

COMMIT_SECONDS: Final = 1.0

_log = get_logger(__name__)


class WorkerBoot(BootStrategy):
    """Starts the loops first, so that they do not wait for the consumer group."""

    def server(self) -> Iterable[ServiceT]:
        """Return the services of a worker in the order they start; they stop in reverse."""
        app = cast("ClassManagementApp", self.app)
        return [app.background, *super().server()]


class ClassManagementApp(faust.App):
    """The service as a Faust App; `container` and `pool` are always there."""

    BootStrategy = WorkerBoot
    logger = logging.getLogger("faust.app")

    container: Container
    pool: PoolProtocol
    background: Background

    def __init__(self, settings: Settings, container: Container) -> None:
        self.container = container
        self.pool = container.get(PoolProtocol)
        super().__init__(settings.kafka_consumer_group, **faust_options(settings, container))
        use_own_transport(self, embedded=settings.kafka_embedded)
        self.pending = PendingTable(self, settings.topic_partitions)
        self.background = self._assemble(settings)

    async def on_started(self) -> None:
        """Say that the stream has started; HTTP has been answering for a while by then."""
        await super().on_started()
        # A look for garbage among all objects stops everything for 80 to 90 ms, several times in a
        # flood of deadlines. What the start made stays for ever: it is left out from now on.
        gc.collect()
        gc.freeze()
        _log.info("ready", port=self.conf.web_port, partitions=len(self.pending.partitions()))

    async def stop(self) -> None:
        """Stop; broken off where a dependency hangs, since no promise needs a good end."""
        asyncio.get_running_loop().call_later(STOP_SECONDS, self._break_off)
        await self._commit_finished_work()
        await super().stop()

    async def _commit_finished_work(self) -> None:
        """Spare the next worker what is done; `CarefulConsumer` commits nothing after this."""
        with contextlib.suppress(Exception):  # whatever fails here, the inbox makes up for it
            async with asyncio.timeout(COMMIT_SECONDS):
                await cast("Consumer", self.consumer).force_commit()

    def _break_off(self) -> None:
        _log.warning("stop broken off", after_seconds=STOP_SECONDS)
        os._exit(1 if self.crash_reason else 0)

    async def on_shutdown(self) -> None:
        """Close what the container made, once nothing runs that might use it."""
        await super().on_shutdown()
        await self.container.get(ClassEventPublisherProtocol).close()
        await self.container.get(Redis).aclose()
        await self.pool.close()

    def _assemble(self, settings: Settings) -> Background:
        """Put agents and views on the App; return the loops that run beside them."""
        get = self.container.get
        metrics = get(Metrics)
        self._show_sizes(metrics)
        associations = get(AssociationRepositoryProtocol)
        register(
            self,
            StreamHandlers(
                SuggestionsIntake(associations, metrics),
                TimerWriter(self.pending, associations, metrics),
                RealTimePusher(get(Redis), associations, metrics),
            ),
        )
        self.on_rebalance_complete.connect(self._partitions_changed)
        probes = self._probes()
        self._install_views(settings, WorkerHealth(probes, StreamWatch(self, CONSUMED)))
        loops = {f"probe {name}": probe.run for name, probe in probes.items()}
        return Background(loops | self._loops(settings), metrics)

    def _loops(self, settings: Settings) -> dict[str, Loop]:
        get = self.container.get
        metrics = get(Metrics)
        maintenance = get(MaintenanceProtocol)
        associations = get(AssociationRepositoryProtocol)
        clock = DatabaseClock(maintenance)
        decisions = ClockDecisions(associations, metrics)
        due = DueLoop(self.pending.deadlines, clock, decisions)
        interval = settings.reconcile_interval_seconds
        relay = OutboxRelay(get(OutboxProtocol), get(ClassEventPublisherProtocol), metrics)
        return {
            "relay": relay.run,
            "due": due.run,
            "horizon": HorizonLoop(self.pending, clock).run,
            "overdue": OverdueLoop(associations, decisions, due).run,
            "parked": ParkedRetry(associations, metrics).run,
            "reconciler": Reconciler(self.pending, associations, metrics, interval).run,
            "backlog": BacklogGauges(maintenance, metrics).run,
            "purge": InboxPurge(maintenance, settings.inbox_retention_days).run,
        }

    def _probes(self) -> dict[str, Probe]:
        get = self.container.get
        return {
            "database": Probe(get(MaintenanceProtocol).ping),
            "kafka": Probe(get(ClassEventPublisherProtocol).reachable),
            "redis": Probe(get(Redis).ping),
        }

    def _install_views(self, settings: Settings, health: WorkerHealth) -> None:
        get = self.container.get
        key = settings.internal_api_key
        config = WebConfig(
            service_name=SERVICE_NAME,
            version=importlib.metadata.version(DISTRIBUTION),
            environment=settings.environment,
            internal_api_key=key.get_secret_value() if key else None,
            timeout_seconds=settings.http_timeout_seconds,
        )
        services = WebServices(
            classes=get(ClassRepositoryProtocol),
            associations=get(AssociationRepositoryProtocol),
            health=health,
            tables=TableInspector(self.pending, f"{socket.gethostname()}:{settings.port}"),
            metrics=get(Metrics),
            config=config,
        )
        install(self.web, self, services)

    def _show_sizes(self, metrics: Metrics) -> None:
        metrics.pool_size.set_function(lambda: self.pool.size)
        metrics.pool_idle.set_function(lambda: self.pool.idle)
        metrics.timers_held.set_function(lambda: len(self.pending.deadlines))

    def _partitions_changed(self, *_args: object, **_options: object) -> None:
        self.pending.notify_changed()


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
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES,
        "producer_max_request_size": 2 * MAX_MESSAGE_BYTES,
        "stream_wait_empty": False,
        "recovery_consistency_check": False,
        "topic_partitions": settings.topic_partitions,
        "topic_replication_factor": settings.topic_replication_factor,
        "topic_disable_leader": True,
        "store": "rocksdb://",
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


def run_worker(settings: Settings) -> None:
    """Run the service until SIGINT or SIGTERM, and end the process."""
    mode.loop.use("uvloop")
    settings.data_dir.parent.mkdir(parents=True, exist_ok=True)
    _await_prerequisites(settings)
    app = create_app(settings)
    worker = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()  # ends the process with its own exit code


def _await_prerequisites(settings: Settings) -> None:
    """Run the preflight; a signal ends it, also where this is a container's first process."""

    def end(number: int, _frame: object) -> None:
        sys.exit(EXIT_BY_SIGNAL + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    asyncio.run(preflight(settings))
