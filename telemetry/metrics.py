"""The Prometheus metrics. Labels are bounded: route templates and outcomes, never ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_LATENESS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_BATCH_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    """All metrics of one worker, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.http_requests = Counter(
            "class_management_http_requests_total",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "class_management_http_request_seconds",
            "Time from the request's head to its answer.",
            ["method", "route"],
            buckets=_LATENCY_SECONDS,
            registry=self.registry,
        )
        self.messages = Counter(
            "class_management_messages_total",
            "Consumed messages by what became of them.",
            ["agent", "outcome"],
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "class_management_batch_messages",
            "Messages that one transaction took.",
            ["agent"],
            buckets=_BATCH_SIZES,
            registry=self.registry,
        )
        self.retries = Counter(
            "class_management_retries_total",
            "Attempts that failed because a dependency was down, and were made again.",
            ["component"],
            registry=self.registry,
        )
        self.published = Counter(
            "class_management_outbox_published_total",
            "Outbox messages that the broker acknowledged.",
            registry=self.registry,
        )
        self.outbox_depth = self._gauge("outbox_depth", "Messages waiting in the outbox.")
        self.outbox_age = self._gauge("outbox_age_seconds", "Age of the oldest waiting message.")
        self.pending = self._gauge("pending_associations", "Associations nobody has decided yet.")
        self.parked = self._gauge("parked_messages", "Messages waiting for a class or student.")
        self.timers_held = self._gauge("timers_held", "Deadlines that this worker has in memory.")
        self.timer_lateness = Histogram(
            "class_management_timer_lateness_seconds",
            "From `confirm_by` to the clock's decision.",
            buckets=_LATENESS_SECONDS,
            registry=self.registry,
        )
        self.reconciled = Counter(
            "class_management_reconciled_batches_total",
            "Timers that the reconciler had to mend.",
            registry=self.registry,
        )
        self.redis_dropped = Counter(
            "class_management_redis_dropped_total",
            "Real-time messages dropped because Redis did not take them.",
            registry=self.registry,
        )
        self.pool_size = self._gauge("database_pool_connections", "Open database connections.")
        self.pool_idle = self._gauge("database_pool_idle", "Open connections that nobody uses.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"class_management_{name}", text, registry=self.registry)

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)
