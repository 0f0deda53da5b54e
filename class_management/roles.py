"""What a process runs that takes part in the streams: agents, their table, and the loops beside."""

import faust
from dishka.container import Container
from redis.asyncio import Redis

from agents.consumers import commands, suggestions
from agents.consumers.commands import CommandsIntake
from agents.consumers.gap_filler import Sources, Taker, Unbroken
from agents.consumers.suggestions import SuggestionsIntake
from agents.consumers.timers import TimerWriter
from agents.faust_support.position import Consumption
from agents.faust_support.stream_watch import StreamWatch
from agents.faust_support.streams import CONSUMED, StreamHandlers, register
from agents.jobs.clock import DatabaseClock
from agents.jobs.due import ClockDecisions, DueLoop, HorizonLoop, OverdueLoop
from agents.jobs.health import Probe, WorkerHealth
from agents.jobs.housekeeping import BacklogGauges, DecisionsPurge, InboxPurge
from agents.jobs.parked import ParkedRetry
from agents.jobs.real_time import RealTimePusher
from agents.jobs.reconciler import Reconciler
from agents.jobs.relay import OutboxRelay
from agents.jobs.supervisor import Loop
from agents.kafka.config import KafkaConfig
from agents.kafka.log_reader import LogReader
from class_management.settings import Settings
from rules import topics
from store.protocols.commands import CommandRepositoryProtocol
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.inbox import InboxProtocol
from store.protocols.maintenance import MaintenanceProtocol
from store.protocols.outbox import ClassEventPublisherProtocol, OutboxProtocol
from store.protocols.progress import ProgressProtocol
from store.protocols.timers import TimerProtocol
from tables.names import changelog_topic
from tables.pending import PendingTable, TableConfig
from telemetry.metrics import Metrics

MIB = 1024 * 1024


class Streaming:
    """The streams of an App, declared on it; nothing runs before the App does."""

    def __init__(self, app: faust.App, settings: Settings, container: Container) -> None:
        get = container.get
        self._container = container
        self._settings = settings
        self._metrics = get(Metrics)
        self._inbox = get(InboxProtocol)
        self._timers = get(TimerProtocol)
        self._probes = {
            "database": Probe(get(MaintenanceProtocol).ping),
            "kafka": Probe(get(ClassEventPublisherProtocol).reachable),
            "redis": Probe(get(Redis).ping),
        }
        self._pusher = RealTimePusher(get(Redis), self._metrics)
        self._relay = OutboxRelay(
            get(OutboxProtocol),
            get(ClassEventPublisherProtocol),
            self._pusher.offer,
            self._metrics,
        )
        watch = StreamWatch(app, CONSUMED)
        self.health = WorkerHealth(self._probes, watch, self._relay.standing_seconds)
        self.table = PendingTable(app, self._table_config())
        timers = TimerWriter(self.table, self._inbox, self._metrics)
        interval = settings.reconcile_interval_seconds
        self.reconciler = Reconciler(self.table, self._timers, self._metrics, timers, interval)
        intake = SuggestionsIntake(self._inbox, self._metrics)
        self._suggestions = self._unbroken(app, suggestions.AGENT, topics.MATCHES_SUGGESTED, intake)
        taker = CommandsIntake(get(CommandRepositoryProtocol), self._inbox, self._metrics)
        self._commands = self._unbroken(app, commands.AGENT, topics.COMMANDS, taker)
        register(app, StreamHandlers(self._suggestions, self._commands, timers))
        self._metrics.timers_held.set_function(lambda: len(self.table.deadlines))
        app.on_rebalance_complete.connect(self._partitions_changed)

    def loops(self) -> dict[str, Loop]:
        """Return the loops that run beside the agents."""
        get = self._container.get
        metrics = self._metrics
        maintenance, outbox = get(MaintenanceProtocol), get(OutboxProtocol)
        clock = DatabaseClock(maintenance)
        decisions = ClockDecisions(self._timers, metrics)
        due = DueLoop(self.table.deadlines, clock, decisions)
        return {f"probe {name}": probe.run for name, probe in self._probes.items()} | {
            "skipped suggestions": self._suggestions.run,
            "skipped commands": self._commands.run,
            "relay": self._relay.run,
            "real time": self._pusher.run,
            "outbox listener": outbox.listen,
            "due": due.run,
            "horizon": HorizonLoop(self.table, clock).run,
            "overdue": OverdueLoop(self._timers, decisions, due).run,
            "parked": ParkedRetry(self._inbox, metrics).run,
            "reconciler": self.reconciler.run,
            "backlog": BacklogGauges(maintenance, metrics).run,
            "decisions purge": DecisionsPurge(get(DeadLetterProtocol)).run,
            "purge": InboxPurge(maintenance, self._settings.inbox_retention_days).run,
        }

    def _unbroken(self, app: faust.App, agent: str, topic: str, taker: Taker) -> Unbroken:
        """Have an agent's messages accounted for by the progress that is stored with them."""
        get = self._container.get
        sources = Sources(get(ProgressProtocol), LogReader(get(KafkaConfig), self._metrics))
        group = self._settings.kafka_consumer_group
        return Unbroken(agent, group, Consumption(app, topic), taker, sources, self._metrics)

    def _table_config(self) -> TableConfig:
        settings = self._settings
        return TableConfig(
            partitions=settings.topic_partitions,
            memory_bytes=settings.table_memory_mb * MIB,
            changelog_topic=changelog_topic(settings.kafka_consumer_group),
            client_options=self._container.get(KafkaConfig).client_options(),
        )

    def _partitions_changed(self, *_args: object, **_options: object) -> None:
        self.table.notify_changed()
