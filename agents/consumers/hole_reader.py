"""Reads the records that a stream skipped, with a separate consumer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiokafka import TopicPartition

from agents.backoff import Backoff
from agents.kafka.config import KafkaConfig
from agents.kafka.log_reader import ReaderConfig, log_reader
from agents.kafka.records import record_from_kafka
from rules.models import Record
from rules.progress import Hole
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

COMPONENT: Final = "rereading"
READER: Final = ReaderConfig("class-management-rereading")
FIRST_PAUSE_SECONDS: Final = 0.2

_log = get_logger(__name__)

Handle = Callable[[Sequence[Record]], Awaitable[None]]


class HoleReader:
    """Connects for each hole: they are rare, and an open connection would need watching."""

    def __init__(self, kafka: KafkaConfig, metrics: Metrics) -> None:
        self._kafka = kafka
        self._metrics = metrics

    async def read(self, topic: str, hole: Hole, handle: Handle) -> int:
        """Pass the records in the hole to `handle`, in order; return how many there were.

        Waits for Kafka. `handle` must not raise OSError.
        """
        place = TopicPartition(topic, hole.partition)
        begin, found = hole.begin, 0
        backoff = Backoff(FIRST_PAUSE_SECONDS)
        while begin < hole.end:
            try:
                async with log_reader(self._kafka, READER) as log:
                    reading = log.read({place: (begin, hole.end)})
                    while reading.unread:
                        for messages in (await reading.poll()).values():
                            await handle([record_from_kafka(message) for message in messages])
                            begin, found = messages[-1].offset + 1, found + len(messages)
                    return found
            except OSError as error:
                self._metrics.retries.labels(COMPONENT).inc()
                if not backoff.pauses:
                    _log.warning("skipped messages cannot be read, retrying", exc_info=error)
                await asyncio.sleep(backoff.next())
        return found
