"""How Faust's stream is: started, rebalancing, stuck; Faust itself does not notice the last."""

import time
from typing import Any, Final

from faust.types import TP

from telemetry.health import OK

#: The fetcher asks Kafka at least each 1.5 s, so silence of this length is no accident.
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
        """Whether the stream has been ready once."""
        self._started = self._started or self.state() == OK
        return self._started

    def state(self) -> str:
        """Return "ok" or what the stream is busy with."""
        app = self._app
        if not app.tables.recovery.completed.is_set() or app.in_recovery:
            return "recovering"
        if app.rebalancing:
            return "rebalancing"
        return OK

    def silence_seconds(self) -> float:
        """Return how long Kafka has said nothing of the partition that it neglects most.

        Counted from the call that first saw it so, on the monotonic clock.
        """
        heard = self._heard_last()
        if heard != self._heard:
            self._heard, self._seen_at = heard, time.monotonic()
        return time.monotonic() - self._seen_at if heard is not None else 0.0

    def alone_seconds(self) -> float:
        """Return how long the consumer has known no coordinator of its group.

        Without one it is soon a member no more, reads what others read as well, and commits
        nothing. Counted from the call that first saw it so.
        """
        consumer = self._consumer()
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None or coordinator.coordinator_id is not None:
            self._alone_since = None
            return 0.0
        self._alone_since = self._alone_since or time.monotonic()
        return time.monotonic() - self._alone_since

    def _heard_last(self) -> int | None:
        """Return when Kafka last answered for the most neglected partition, None without any."""
        consumer = self._consumer()
        if consumer is None:
            return None
        paused = consumer.paused()
        return min(
            (consumer.last_poll_timestamp(tp) or 0 for tp in self.partitions() if tp not in paused),
            default=None,
        )

    def partitions(self) -> list[TP]:
        """Return the partitions of the topics that this worker has."""
        consumer = self._consumer()
        assigned = consumer.assignment() if consumer is not None else ()
        return [tp for tp in assigned if tp.topic in self._topics]

    def _consumer(self) -> Any:  # noqa: ANN401
        thread = getattr(self._app.consumer, "_thread", None)
        return getattr(thread, "_consumer", None)
