"""The Prometheus metrics. Labels are bounded: route templates and outcomes, never ids.

Each metric is one process's own, or a figure of the whole system that every worker reads from where
it is kept: then its help text says so, and it is aggregated by `max`, not by `sum`.
"""

from collections.abc import Callable, Iterable, Mapping
from math import nan
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from telemetry import series
from telemetry.exposition import rendered

_PREFIX = "class_management_"

#: The end of the help text of a figure that is the same on every worker.
OF_THE_SYSTEM: Final = "Of the whole system: take the maximum over the workers, not the sum."

# Upper bounds of the buckets: seconds, seconds, messages.
_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_LATENESS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    """All metrics of one worker, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.build = Info(f"{_PREFIX}build", "What runs here.", registry=self.registry)
        self._http()
        self._messages()
        self._streams()
        self._outbox()
        self._timers()
        self._students()
        self._dependencies()

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics in the format that an Accept header asks for, and its content type."""
        return rendered(self.registry, accept)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; the three labels come from short lists."""
        labels = method, route, status
        found = self._answers.get(labels)
        if found is None:
            counter = self.http_requests.labels(method, route, status)
            found = self._answers[labels] = counter, self.http_seconds.labels(method, route)
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)

    def expect_requests(self, method: str, route: str) -> None:
        """Let the series that alarms look for exist before such a request comes."""
        for status in series.ALARMING_STATUSES:
            self.http_requests.labels(method, route, status)

    def _http(self) -> None:
        # Looking up the metric of labels takes four times as long as counting.
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        labels = ("method", "route")
        self.http_requests = self._counter(
            "http_requests_total", "HTTP requests answered.", *labels, "status"
        )
        self.http_seconds = self._histogram(
            "http_request_seconds", "From a request's head to its answer.", _LATENCY, *labels
        )
        self.connections = self._gauge("http_connections", "Open connections of HTTP.")
        self.connections_refused = self._counter(
            "http_connections_refused_total", "Connections refused because there were too many."
        )
        self.in_flight = self._gauge("http_requests_in_flight", "HTTP requests under way.")
        self.notification_streams = self._gauge(
            "notification_streams", "Open streams of real-time messages."
        )
        self.notifications_dropped = self._counter(
            "notifications_dropped_total",
            "Real-time messages from Redis that no stream got, by why.",
            "reason",
            known=series.single(series.UNSTREAMED),
        )
        self.tokens_refused = self._counter(
            "tokens_refused_total",
            "Requests whose caller had no good token, by what was wrong.",
            "reason",
            known=series.single(series.TOKEN_FAULTS),
        )
        self.token_keys = self._gauge("token_keys", "Keys that tokens are verified with.")
        self.token_key_fetches = self._counter(
            "token_key_fetches_total",
            "Times that the JWKS was read, by what came of it.",
            "outcome",
            known=series.single(series.FETCHES),
        )
        self.unavailable = self._counter(
            "unavailable_total",
            "Requests answered 503, by what was not available.",
            "cause",
            known=series.single(series.CAUSES),
        )

    def _messages(self) -> None:
        self.messages = self._counter(
            "messages_total",
            "Consumed messages by what became of them.",
            *("agent", "outcome"),
            known=series.messages(),
        )
        self.batch_size = self._histogram(
            "batch_messages",
            "Messages that one transaction took.",
            _SIZES,
            "agent",
            known=series.single(series.ACCOUNTED),
        )
        self.retries = self._counter(
            "retries_total",
            "Attempts that failed and were made again.",
            "component",
            known=series.single(series.RETRYING),
        )
        self.replays = self._counter(
            "replays_total",
            "Replayed dead letters that were handled, by what became of them.",
            *("agent", "outcome"),
            known=series.replays(),
        )
        self.parked = self._system_gauge(
            "parked_messages", "Messages waiting for a class or student."
        )
        self.dead_letters_open = self._system_gauge(
            "dead_letters_open", "Dead letters that nobody has replayed or dropped.", "topic"
        )

        self.essays_elsewhere = self._counter(
            "essays_elsewhere_total", "Essays of messages left out since another batch has them."
        )

    def _streams(self) -> None:
        self.holes = self._counter(
            "stream_holes_total",
            "Offsets that the stream skipped, by whether the log had messages there.",
            *("agent", "content"),
            known=series.holes(),
        )
        self.offsets_lost = self._counter(
            "offsets_lost_total",
            "Offsets that retention deleted before they were read.",
            "agent",
            known=series.single(series.READING),
        )
        self.rebalances = self._counter(
            "rebalances_total", "Assignments of partitions to this worker, by the consumer group."
        )
        self.lag = PartitionGauge(
            "consumer_lag_messages",
            "Messages not handled yet of the partitions that this worker reads.",
        )
        self.registry.register(self.lag)

    def _outbox(self) -> None:
        self.published = self._counter(
            "outbox_published_total", "Outbox messages that the broker acknowledged."
        )
        self.outbox_refused = self._counter(
            "outbox_refused_total",
            "Outbox messages that the broker refused for good and that were set aside.",
            "reason",
            known=series.single(series.REFUSALS),
        )
        self.redis_dropped = self._counter(
            "redis_dropped_total", "Real-time messages that Redis did not take."
        )
        self.outbox_depth = self._system_gauge("outbox_depth", "Messages waiting in the outbox.")
        self.outbox_age = self._system_gauge(
            "outbox_age_seconds", "Age of the oldest waiting message."
        )
        self.set_aside = self._system_gauge(
            "outbox_set_aside_messages",
            "Messages that the broker refuses, and those that wait behind them.",
        )

    def _students(self) -> None:
        self.emails_unkeyed = self._system_gauge(
            "emails_unkeyed", "Students whose email is not compared by its key yet."
        )
        self.emails_colliding = self._system_gauge(
            "emails_colliding", "Students whose email an older student of their owner has, too."
        )
        self.import_classes = self._counter(
            "import_classes_total",
            "Classes of imports by what became of them: applied, or left out and why.",
            "outcome",
            known=series.single(series.IMPORT_CLASSES),
        )
        self.imports_applying = self._system_gauge(
            "imports_applying", "Imports that are being applied."
        )
        self.imports_age = self._system_gauge(
            "imports_age_seconds", "For how long the import waits whose next class is due longest."
        )
        self.settled = self._counter(
            "students_settled_total",
            "Students with an address of the service from older versions, by what became of them.",
            "became",
            known=series.single(series.SETTLED),
        )

    def _timers(self) -> None:
        self.pending = self._system_gauge(
            "pending_associations", "Associations nobody has decided yet."
        )
        self.timers_held = self._gauge("timers_held", "Deadlines that this worker has in memory.")
        self.table_recovered = self._gauge(
            "table_recovered", "Whether this worker's part of the table has caught up: 1 or 0."
        )
        self.table_recovered.set(nan)
        self.timer_lateness = self._histogram(
            "timer_lateness_seconds", "From `confirm_by` to the clock's decision.", _LATENESS
        )
        self.reconciled = self._counter(
            "reconciled_batches_total", "Timers that the reconciler had to mend."
        )
        self.strays = self._counter(
            "table_strays_total", "Rows removed from the table that were no entries of it."
        )

        self.batches_settled = self._counter(
            "batches_settled_total",
            "Open batches that were closed without a further decision, by why.",
            "ending",
            known=series.single(series.ENDINGS),
        )

    def _dependencies(self) -> None:
        self.dependency_up = self._gauge(
            "dependency_up", "Whether this worker reaches what it depends on: 1 or 0.", "dependency"
        )
        self.pool_size = self._gauge("database_pool_connections", "Open database connections.")
        self.pool_idle = self._gauge("database_pool_idle", "Open connections that nobody uses.")

    def _counter(
        self, name: str, text: str, *labels: str, known: Iterable[series.Labels] = ()
    ) -> Counter:
        """Return a counter; the series of the `known` values of its labels exist from now on."""
        counter = Counter(f"{_PREFIX}{name}", text, labels, registry=self.registry)
        for values in known:
            counter.labels(*values)
        return counter

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}{name}", text, labels, registry=self.registry)

    def _system_gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Return a gauge of the whole system: NaN until, and unless, this process measures it."""
        gauge = self._gauge(name, f"{text} {OF_THE_SYSTEM}", *labels)
        if not labels:
            gauge.set(nan)
        return gauge

    def _histogram(
        self,
        name: str,
        text: str,
        buckets: tuple[float, ...],
        *labels: str,
        known: Iterable[series.Labels] = (),
    ) -> Histogram:
        histogram = Histogram(
            f"{_PREFIX}{name}", text, labels, buckets=buckets, registry=self.registry
        )
        for values in known:
            histogram.labels(*values)
        return histogram


class PartitionGauge(Collector):
    """A gauge of the partitions that a worker has when it is asked: those that moved are gone."""

    def __init__(self, name: str, text: str) -> None:
        self._name = f"{_PREFIX}{name}"
        self._text = text
        self._read: list[Callable[[], Mapping[tuple[str, int], int]]] = []

    def add(self, read: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        """Show what `read` returns: a value for each topic and partition."""
        self._read.append(read)

    def describe(self) -> list[GaugeMetricFamily]:
        """Name it without reading anything."""
        return [GaugeMetricFamily(self._name, self._text, labels=("topic", "partition"))]

    def collect(self) -> list[GaugeMetricFamily]:
        """Read the present values."""
        [family] = self.describe()
        for read in self._read:
            for (topic, partition), value in read().items():
                family.add_metric((topic, str(partition)), value)
        return [family]
