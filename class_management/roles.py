"""What a process runs in its role: agents, table and loops with streams, else HTTP alone."""

from datetime import timedelta
from typing import cast

import faust
from aiokafka import TopicPartition
from dishka.container import Container
from redis.asyncio import Redis

from agents.consumers import changelog, commands, suggestions, timers
from agents.consumers.changelog import ChangelogReports
from agents.consumers.commands import CommandsConsumer
from agents.consumers.gap_filler import GapFiller, Handler
from agents.consumers.hole_reader import HoleReader
from agents.consumers.suggestions import SuggestionsConsumer
from agents.consumers.timers import TimerWriter
from agents.faust_support.position import Position
from agents.faust_support.rejoin import rejoin
from agents.faust_support.stream_watch import StreamWatch
from agents.faust_support.streams import CONSUMED, register
from agents.faust_support.transport import CarefulTransport
from agents.jobs.clock import DatabaseClock
from agents.jobs.decisions import ClockDecisions
from agents.jobs.due import DueLoop
from agents.jobs.email_keys import EmailKeysLoop
from agents.jobs.feed import FeedNumbering
from agents.jobs.health import Probe, WebHealth, WorkerHealth, show_dependencies
from agents.jobs.horizon import HorizonLoop
from agents.jobs.housekeeping import (
    BacklogGauges,
    ChangesTurnover,
    decisions_purge,
    deleted_classes_purge,
    imports_purge,
    inbox_purge,
    keys_purge,
)
from agents.jobs.imports import ImportGauges, ImportsLoop
from agents.jobs.open_batches import OpenBatchesLoop
from agents.jobs.open_dead_letters import OpenDeadLetters
from agents.jobs.overdue import OverdueLoop
from agents.jobs.parked import ParkedRetry
from agents.jobs.placeholders import PlaceholderSettling
from agents.jobs.real_time import RealTimePusher
from agents.jobs.reconciler import Reconciler
from agents.jobs.relay import OutboxRelay
from agents.jobs.set_aside import SetAsideWatch
from agents.jobs.supervisor import Loop
from agents.jobs.topic_watch import Layout, TopicWatch
from agents.jobs.worker_registry import Presence, WorkerList
from agents.kafka.config import KafkaConfig
from agents.kafka.log_reader import ReaderConfig, log_reader
from agents.kafka.partitioner import partitioning
from agents.kafka.retention import LostOffsets
from class_management.address import advertised_url, worker_name
from class_management.preflight import topic_specs
from class_management.settings import Settings, version
from rules import topics
from rules.history import KEPT_DAYS
from store.protocols.commands import CommandRepositoryProtocol
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.email_keys import EmailKeysProtocol
from store.protocols.feed import FeedProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.inbox import InboxProtocol
from store.protocols.maintenance import MaintenanceProtocol
from store.protocols.open_batches import OpenBatchesProtocol
from store.protocols.outbox import ClassEventPublisherProtocol, OutboxProtocol
from store.protocols.placeholders import PlaceholderProtocol
from store.protocols.progress import ProgressProtocol
from store.protocols.set_aside import SetAsideProtocol
from store.protocols.timers import TimerProtocol
from store.protocols.workers import WorkerRegistryProtocol
from tables.inspection import TableInspector
from tables.names import changelog_topic
from tables.pending import PendingTable, TableConfig
from telemetry.health import OK
from telemetry.metrics import Metrics
from telemetry.status import StatusReport
from web.inspection.parts import LocalPart
from web.views.health import PROBES

MIB = 1024 * 1024

#: If the changelog returns nothing for this long, Faust's own recovery takes over.
RESTORE = ReaderConfig(
    "class-management-restore", max_records=2_000, fetch_bytes=2 * MIB, patience_seconds=10.0
)


class StreamRole:
    """The streams of an App: agents, table and loops, declared on it; the App starts them."""

    def __init__(self, app: faust.App, settings: Settings, container: Container) -> None:
        get = container.get
        self._container = container
        self._settings = settings
        self._metrics = get(Metrics)
        self._inbox = get(InboxProtocol)
        self._timers = get(TimerProtocol)
        self._probes = {
            "database": Probe(get(MaintenanceProtocol).check, "database"),
            "kafka": Probe(get(ClassEventPublisherProtocol).reachable, "kafka"),
            "redis": Probe(get(Redis).ping, "redis"),
        }
        self._pusher = RealTimePusher(get(Redis), self._metrics)
        self._lost = LostOffsets(self._metrics, self._readers())
        cast("CarefulTransport", app.transport).on_lost = self._stream_lost
        self._changelog = ChangelogReports(self._inbox, self._lost, self._metrics)
        self._set_aside = SetAsideWatch(get(SetAsideProtocol), self._metrics)
        self._feed = FeedNumbering(get(FeedProtocol), self._metrics)
        self._imports = ImportGauges(get(ImportsProtocol), self._metrics)
        self.table = PendingTable(app, self._table_config())
        self._topics = self._topic_watch(app)
        timer_writer = TimerWriter(self.table, self._inbox, self._metrics, self._topics.moved)
        interval = settings.reconcile_interval_seconds
        self.reconciler = Reconciler(
            self.table, self._timers, self._metrics, timer_writer.drained, interval
        )
        worker = worker_name(settings.port)
        presence = Presence(
            worker, lambda: advertised_url(settings), version(), settings.role.value, self.table
        )
        self.workers = WorkerList(get(WorkerRegistryProtocol), presence)
        self._relay = OutboxRelay(
            get(OutboxProtocol),
            get(ClassEventPublisherProtocol),
            self._pusher.offer,
            self._metrics,
            self.workers.sharing,
        )
        consumer: Handler = SuggestionsConsumer(self._inbox, self._metrics)
        self._suggestions = self._filler(app, suggestions.AGENT, topics.MATCHES_SUGGESTED, consumer)
        consumer = CommandsConsumer(get(CommandRepositoryProtocol), self._inbox, self._metrics)
        self._commands = self._filler(app, commands.AGENT, topics.COMMANDS, consumer)
        register(app, self._suggestions, self._commands, timer_writer)
        self._measure(Position(app, topics.TIMERS))
        self.health = self._health(StreamWatch(app, CONSUMED))
        self.status = self._status_report()
        inspector = TableInspector(self.table, worker)
        self.part = LocalPart(inspector, self.reconciler, self.status.now)
        app.on_rebalance_complete.connect(self._partitions_changed)

    def _health(self, watch: StreamWatch) -> WorkerHealth:
        stalled, outbox = self._relay.stalled_seconds, self._set_aside.state
        notices = {
            "relay": self._relay.state,
            "changes": self._feed.state,
            "imports": self._imports.state,
        }
        return WorkerHealth(self._probes, watch, stalled, outbox, self._topics, notices)

    def _measure(self, timers: Position) -> None:
        """Set the gauges that are read when they are asked for."""
        metrics, table = self._metrics, self.table
        metrics.timers_held.set_function(lambda: len(table.deadlines))
        metrics.table_recovered.set_function(lambda: table.recovered)
        for lag in (self._suggestions.lag, self._commands.lag, timers.lag):
            metrics.lag.add(lag)
        show_dependencies(self._probes, metrics)

    def _status_report(self) -> StatusReport:
        return StatusReport(
            self._metrics,
            version(),
            self._settings.role.value,
            self.health.full,
            lambda: [probe.seen() for probe in self._probes.values()],
            self.table.changelog_lag,
            PROBES,
        )

    def loops(self) -> dict[str, Loop]:
        """Return the loops that run beside the agents."""
        get = self._container.get
        metrics = self._metrics
        maintenance, outbox = get(MaintenanceProtocol), get(OutboxProtocol)
        imports, clock = get(ImportsProtocol), DatabaseClock(maintenance)
        decisions = ClockDecisions(self._timers, metrics)
        due = DueLoop(self.table.deadlines, clock, decisions)
        loops = {f"probe {name}": probe.run for name, probe in self._probes.items()} | {
            "topics": self._topics.run,
            "skipped suggestions": self._suggestions.run,
            "skipped commands": self._commands.run,
            "changelog letters": self._changelog.run,
            "relay": self._relay.run,
            "real time": self._pusher.run,
            "outbox listener": outbox.listen,
            "set aside": self._set_aside.run,
            "due": due.run,
            "horizon": HorizonLoop(self.table, clock).run,
            "overdue": OverdueLoop(self._timers, decisions, due).run,
            "parked": ParkedRetry(self._inbox, metrics).run,
            "open batches": OpenBatchesLoop(
                get(OpenBatchesProtocol), metrics, self._settings.reconcile_interval_seconds
            ).run,
            "imports": ImportsLoop(imports, self._pusher.push, metrics).run,
            "imports backlog": self._imports.run,
            "imports purge": imports_purge(imports).run,
            "placeholders": PlaceholderSettling(get(PlaceholderProtocol), metrics).run,
            "reconciler": self.reconciler.run,
            "open dead letters": OpenDeadLetters(
                get(KafkaConfig), get(DeadLetterProtocol), metrics
            ).run,
        }
        return loops | self._upkeep()

    def _upkeep(self) -> dict[str, Loop]:
        """Return the loops that look after what is stored."""
        get, metrics, settings = self._container.get, self._metrics, self._settings
        maintenance, retention = get(MaintenanceProtocol), settings.inbox_retention_days
        feed: dict[str, Loop] = {"feed": self._feed.run} if settings.changes else {}
        return feed | {
            "email keys": EmailKeysLoop(get(EmailKeysProtocol), metrics).run,
            "backlog": BacklogGauges(maintenance, metrics).run,
            "decisions purge": decisions_purge(get(DeadLetterProtocol)).run,
            "purge": inbox_purge(maintenance, retention).run,
            "keys purge": keys_purge(maintenance).run,
            "deleted classes purge": deleted_classes_purge(maintenance, retention).run,
            "changes": ChangesTurnover(maintenance, timedelta(days=KEPT_DAYS)).run,
        }

    def _filler(self, app: faust.App, agent: str, topic: str, handler: Handler) -> GapFiller:
        """Return the gap filler of an agent, over the progress stored with its messages."""
        get = self._container.get
        group = self._settings.kafka_consumer_group
        position, progress = Position(app, topic), get(ProgressProtocol)
        log = HoleReader(get(KafkaConfig), self._metrics)
        return GapFiller(agent, group, position, handler, progress, log, self._lost, self._metrics)

    def _readers(self) -> dict[str, str]:
        """Return the agent that reads each topic, as metrics call it."""
        return {
            topics.MATCHES_SUGGESTED: suggestions.AGENT,
            topics.COMMANDS: commands.AGENT,
            topics.TIMERS: timers.AGENT,
            changelog_topic(self._settings.kafka_consumer_group): changelog.AGENT,
        }

    def _stream_lost(self, place: TopicPartition, begin: int, end: int) -> None:
        """Report what the stream of timers lost: the other topics are accounted for elsewhere."""
        if place.topic == topics.TIMERS:
            self._lost.report(place, begin, end)

    def _topic_watch(self, app: faust.App) -> TopicWatch:
        """Return what looks at the topics; it has those that are made anew read from the start."""
        settings = self._settings
        layout = Layout(topic_specs(settings), settings.topic_replication_factor)

        def read_anew(topic: str) -> None:
            fillers = {topics.MATCHES_SUGGESTED: self._suggestions, topics.COMMANDS: self._commands}
            if topic in fillers:
                fillers[topic].topic_made_anew()
            if topic in CONSUMED:
                rejoin(app)

        kafka, probe = self._container.get(KafkaConfig), self._probes["kafka"]
        return TopicWatch(kafka, layout, lambda: probe.state() == OK, read_anew)

    def _table_config(self) -> TableConfig:
        settings = self._settings
        return TableConfig(
            partitioning=partitioning(settings.topic_partitions),
            memory_bytes=settings.table_memory_mb * MIB,
            changelog_topic=changelog_topic(settings.kafka_consumer_group),
            open_changelog=lambda: log_reader(self._container.get(KafkaConfig), RESTORE),
            reports=self._changelog,
        )

    def _partitions_changed(self, *_args: object, **_options: object) -> None:
        self._metrics.rebalances.inc()
        self.table.notify_changed()


class WebRole:
    """A process that only answers HTTP: it holds no partitions, so no worker asks it."""

    part = None

    def __init__(self, settings: Settings, container: Container) -> None:
        self.workers = WorkerList(container.get(WorkerRegistryProtocol), None)
        self._database = Probe(container.get(MaintenanceProtocol).check, "database")
        self._outbox = container.get(OutboxProtocol)
        set_aside = container.get(SetAsideProtocol)
        self._set_aside = SetAsideWatch(set_aside, container.get(Metrics))
        self.health = WebHealth(self._database, self._set_aside.state)
        show_dependencies({"database": self._database}, container.get(Metrics))
        self.status = StatusReport(
            container.get(Metrics),
            version(),
            settings.role.value,
            self.health.full,
            lambda: [self._database.seen()],
            probes=PROBES,
        )

    def loops(self) -> dict[str, Loop]:
        """Return the loops that run beside the server."""
        return {
            "probe database": self._database.run,
            "outbox announcer": self._outbox.announce,
            "set aside": self._set_aside.run,
        }
