"""The state of Faust's stream: started, rebalancing or stuck, which Faust does not notice."""

import time
from typing import Any, Final

from faust.types import TP

from telemetry.health import OK

#: The fetcher asks Kafka at least every 1.5 s, so a silence this long means that it is stuck.
STUCK_SECONDS: Final = 90.0


class StreamWatch:
    """Reads Faust's flags and when Kafka last answered for each partition."""

    def __init__(self, app: Any, topics: frozenset[str]) -> None:  # noqa: ANN401  # flags that Faust's types leave out
        self._app = app
        self._topics = topics
        self._heard: int | None = None
        self._seen_at = time.monotonic()
        self._alone_since: float | None = None
        self._started = False

    @property
    def started(self) -> bool:
        """Whether the stream has ever been ready."""
        self._started = self._started or self.state() == OK
        return self._started

    def state(self) -> str:
        """Return "ok", "recovering" or "rebalancing"."""
        app = self._app
        if not app.tables.recovery.completed.is_set() or app.in_recovery:
            return "recovering"
        if app.rebalancing:
            return "rebalancing"
        return OK

    def silence_seconds(self) -> float:
        """Return how long Kafka has been silent about the partition heard of least recently.

        Measured on the monotonic clock, from the call that first saw this.
        """
        heard = self._heard_last()
        if heard != self._heard:
            self._heard, self._seen_at = heard, time.monotonic()
        return time.monotonic() - self._seen_at if heard is not None else 0.0

    def alone_seconds(self) -> float:
        """Return how long the consumer has had no group coordinator.

        Without one it soon leaves the group, reads what others read too, and commits nothing.
        Measured from the call that first saw this.
        """
        consumer = self._consumer()
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None or coordinator.coordinator_id is not None:
            self._alone_since = None
            return 0.0
        self._alone_since = self._alone_since or time.monotonic()
        return time.monotonic() - self._alone_since

    def _heard_last(self) -> int | None:
        """Return when Kafka last answered for the partition heard of least recently, if any."""
        consumer = self._consumer()
        if consumer is None:
            return None
        paused = consumer.paused()
        return min(
            (consumer.last_poll_timestamp(tp) or 0 for tp in self.partitions() if tp not in paused),
            default=None,
        )

    def partitions(self) -> list[TP]:
        """Return the partitions of these topics that this worker owns."""
        consumer = self._consumer()
        assigned = consumer.assignment() if consumer is not None else ()
        return [tp for tp in assigned if tp.topic in self._topics]

    def _consumer(self) -> Any:  # noqa: ANN401
        thread = getattr(self._app.consumer, "_thread", None)
        return getattr(thread, "_consumer", None)
