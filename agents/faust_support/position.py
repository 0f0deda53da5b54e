"""Where Faust is in a topic: its streams expose neither where they began nor the log's end."""

from typing import Any

from faust.types import TP

from agents.faust_support.stream_watch import StreamWatch
from telemetry.health import OK


class Position:
    """Implements the gap filler's PositionProtocol from the state of Faust and aiokafka."""

    def __init__(self, app: Any, topic: str) -> None:  # noqa: ANN401  # as StreamWatch's
        self._app = app
        self._watch = StreamWatch(app, frozenset({topic}))
        self.topic = topic

    @property
    def generation(self) -> int:
        """The consumer group's generation."""
        generation: int = self._app.consumer_generation_id
        return generation

    @property
    def stable(self) -> bool:
        """Whether the worker is neither recovering nor rebalancing."""
        return self._watch.state() == OK

    def partitions(self) -> list[int]:
        """Return the partitions that this worker owns."""
        return sorted(tp.partition for tp in self._watch.partitions())

    def begins(self, partition: int) -> int | None:
        """Return where Faust began to read after the assignment, None if unknown."""
        begins: int | None = self._app.consumer.begins(TP(self.topic, partition))
        return begins

    def lag(self) -> dict[tuple[str, int], int]:
        """Return how many offsets of each partition that this worker owns are not committed yet."""
        committed = self._app.consumer._committed_offset  # noqa: SLF001  # Faust has no accessor
        lags = {}
        for partition in self.partitions():
            end, reach = self.end(partition), committed.get(TP(self.topic, partition))
            if end is not None:
                lags[self.topic, partition] = max(end - self.clear_to(partition, reach or 0), 0)
        return lags

    def end(self, partition: int) -> int | None:
        """Return where the log ended when Kafka last answered, None if it has not."""
        place = TP(self.topic, partition)
        if partition not in self.partitions():
            return None
        try:
            end: int | None = self._app.consumer.highwater(place)
        except AssertionError:  # revoked meanwhile, in the consumer's thread
            return None
        return end

    def held_back(self, partition: int) -> bool:
        """Whether reading waits until a batch that could not be decoded is fetched again."""
        held: bool = self._app.consumer.held_back(TP(self.topic, partition))
        return held

    def clear_to(self, partition: int, offset: int) -> int:
        """Return up to where the log is known to have no records from an offset on."""
        begin, end = self._app.consumer.clear_behind(TP(self.topic, partition)) or (offset, offset)
        return end if begin <= offset < end else offset
