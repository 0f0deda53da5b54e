"""Reads a stretch of a partition beside the stream, for what the stream has skipped."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from agents.kafka.records import record_from_kafka
from rules.models import Record
from rules.progress import Hole
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

COMPONENT: Final = "rereading"
RECORDS_AT_ONCE: Final = 100
WAIT_MS: Final = 1000
FETCH_WAIT_MS: Final = 100
FIRST_PAUSE_SECONDS: Final = 0.2
MAX_PAUSE_SECONDS: Final = 5.0

_log = get_logger(__name__)

Take = Callable[[Sequence[Record]], Awaitable[None]]


class LogReader:
    """Reads with a consumer of its own that belongs to no group and ends with the hole.

    Holes are rare; a consumer that is kept would have to be watched and closed.
    """

    def __init__(self, kafka: KafkaConfig, metrics: Metrics) -> None:
        self._kafka = kafka
        self._metrics = metrics

    async def read(self, topic: str, hole: Hole, take: Take) -> int:
        """Have `take` every record that there is in the hole, in order; return how many.

        Waits for Kafka. `take` must not raise errors of Kafka's.
        """
        begin, found = hole.begin, 0
        pause = FIRST_PAUSE_SECONDS
        while begin < hole.end:
            try:
                async with self._consumer(TopicPartition(topic, hole.partition), begin) as reader:
                    async for records in _until(reader, hole.end):
                        await take(records)
                        begin, found = records[-1].offset + 1, found + len(records)
                    return found
            except (KafkaError, OSError) as error:
                self._metrics.retries.labels(COMPONENT).inc()
                if pause == FIRST_PAUSE_SECONDS:
                    _log.warning("skipped messages cannot be read, retrying", exc_info=error)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
        return found

    @asynccontextmanager
    async def _consumer(self, place: TopicPartition, begin: int) -> AsyncIterator["_Reader"]:
        """Lend a consumer of one partition. Retention may have moved its beginning: `earliest`."""
        consumer = AIOKafkaConsumer(
            **self._kafka.client_options(),
            client_id="class-management-rereading",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            await consumer.start()
            consumer.assign([place])
            consumer.seek(place, begin)
            yield _Reader(consumer, place)
        finally:
            await consumer.stop()


class _Reader:
    """A consumer and the one partition that it reads."""

    def __init__(self, consumer: Any, place: TopicPartition) -> None:  # noqa: ANN401  # aiokafka has no types
        self._consumer = consumer
        self._place = place

    async def some(self) -> list[Record]:
        """Return the next records, or none after a while."""
        fetched = await self._consumer.getmany(
            self._place, timeout_ms=WAIT_MS, max_records=RECORDS_AT_ONCE
        )
        return [record_from_kafka(message) for message in fetched.get(self._place, ())]

    async def is_at(self, end: int) -> bool:
        """Whether nothing below `end` is left.

        The position passes over what was compacted away and over the marks of transactions. The
        log may also end before `end`; only a fetch's answer is asked where it does, for the
        embedded broker gives too low an end to who asks for it.
        """
        position: int = await self._consumer.position(self._place)
        known: int | None = self._consumer.highwater(self._place)
        return position >= end or (known is not None and position >= known)


async def _until(reader: _Reader, end: int) -> AsyncIterator[list[Record]]:
    """Return the records below `end` as they come."""
    while True:
        records = await reader.some()
        below = [record for record in records if record.offset < end]
        if below:
            yield below
        if len(below) < len(records) or await reader.is_at(end):
            return
