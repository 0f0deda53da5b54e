"""The Prometheus metrics. Labels are bounded: route templates and outcomes, never ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_PREFIX = "class_management_"

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
        self._http()
        self._messages()
        self._timers()
        self._database()

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)

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

    def _messages(self) -> None:
        self.messages = self._counter(
            "messages_total", "Consumed messages by what became of them.", "agent", "outcome"
        )
        self.batch_size = self._histogram(
            "batch_messages", "Messages that one transaction took.", _SIZES, "agent"
        )
        self.retries = self._counter(
            "retries_total", "Attempts that failed and were made again.", "component"
        )
        self.holes = self._counter(
            "stream_holes_total",
            "Offsets that the stream skipped, by whether the log had messages there.",
            "agent",
            "content",
        )
        self.replays = self._counter(
            "replays_total",
            "Replayed dead letters that were handled, by what became of them.",
            "agent",
            "outcome",
        )
        self.published = self._counter(
            "outbox_published_total", "Outbox messages that the broker acknowledged."
        )
        self.redis_dropped = self._counter(
            "redis_dropped_total", "Real-time messages that Redis did not take."
        )
        self.outbox_depth = self._gauge("outbox_depth", "Messages waiting in the outbox.")
        self.outbox_age = self._gauge("outbox_age_seconds", "Age of the oldest waiting message.")
        self.parked = self._gauge("parked_messages", "Messages waiting for a class or student.")

    def _timers(self) -> None:
        self.pending = self._gauge("pending_associations", "Associations nobody has decided yet.")
        self.timers_held = self._gauge("timers_held", "Deadlines that this worker has in memory.")
        self.timer_lateness = self._histogram(
            "timer_lateness_seconds", "From `confirm_by` to the clock's decision.", _LATENESS
        )
        self.reconciled = self._counter(
            "reconciled_batches_total", "Timers that the reconciler had to mend."
        )

    def _database(self) -> None:
        self.pool_size = self._gauge("database_pool_connections", "Open database connections.")
        self.pool_idle = self._gauge("database_pool_idle", "Open connections that nobody uses.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"{_PREFIX}{name}", text, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"{_PREFIX}{name}", text, labels, buckets=buckets, registry=self.registry)
