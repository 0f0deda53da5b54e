"""Reads the records that a stream skipped, with a separate consumer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import TopicPartition

from agents.backoff import Backoff
from agents.kafka.config import KafkaConfig
from agents.kafka.log_reader import ReaderConfig, log_reader
from rules.models import Record
from rules.progress import Hole
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

COMPONENT: Final = "rereading"
READER: Final = ReaderConfig("class-management-rereading")
FIRST_PAUSE_SECONDS: Final = 0.2

_log = get_logger(__name__)

Handle = Callable[[Sequence[Record]], Awaitable[None]]


@dataclass(slots=True)
class Reread:
    """How many records were in a hole, and which of its offsets the log no longer has."""

    found: int = 0
    lost: list[Hole] = field(default_factory=list)


class HoleReader:
    """Connects for each hole: they are rare, and an open connection would need watching."""

    def __init__(self, kafka: KafkaConfig, metrics: Metrics) -> None:
        self._kafka = kafka
        self._metrics = metrics

    async def read(self, topic: str, hole: Hole, handle: Handle) -> Reread:
        """Pass the records in the hole to `handle`, in order.

        Waits for Kafka. `handle` must not raise OSError.
        """
        place = TopicPartition(topic, hole.partition)
        begin, reread = hole.begin, Reread()
        backoff = Backoff(FIRST_PAUSE_SECONDS)
        while begin < hole.end:
            try:
                async with log_reader(self._kafka, READER) as log:
                    kept_from, _ = (await log.bounds([place]))[place]
                    if kept_from > begin:
                        kept_from = min(kept_from, hole.end)
                        reread.lost.append(Hole(hole.partition, begin, kept_from))
                        begin = kept_from
                    reading = log.read({place: (begin, hole.end)})
                    while reading.unread:
                        for records in (await reading.poll()).values():
                            await handle(records)
                            begin = records[-1].offset + 1
                            reread.found += len(records)
                    break
            except OSError as error:
                self._metrics.retries.labels(COMPONENT).inc()
                if not backoff.pauses:
                    _log.warning("skipped messages cannot be read, retrying", exc_info=error)
                await asyncio.sleep(backoff.next())
        if backoff.pauses:
            _log.info("skipped messages can be read again", attempts=backoff.pauses)
        return reread
