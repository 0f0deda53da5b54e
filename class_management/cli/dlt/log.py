"""Reads the `.dlt` topics, as a consumer of no group: nobody notices."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from agents.kafka.records import record_from_kafka
from agents.kafka.topics import TopicsError, partitions
from class_management.cli.runner import TroubleError, reason
from rules.dead_letters.letters import Address
from rules.models import Record

RECORDS_AT_ONCE: Final = 100
#: The embedded broker answers a waiting fetch only after half of this time.
FETCH_WAIT_MS: Final = 100
WAIT_MS: Final = 200
#: Kafka that says nothing for so long is away.
PATIENCE_SECONDS: Final = 30.0

#: A stretch of a partition, from an offset to before another; None is where it ends now.
Stretches: TypeAlias = Mapping[TopicPartition, tuple[int, int | None]]


class DeadLetterLog:
    """What the topics of dead letters hold at this moment."""

    def __init__(self, consumer: AIOKafkaConsumer, kafka: KafkaConfig) -> None:
        self._consumer = consumer
        self._kafka = kafka

    async def all(self, wanted: Collection[str]) -> AsyncIterator[Record]:
        """Return every record of these topics. Raises TroubleError."""
        places = await self._places(wanted)
        async for record in self._read(dict.fromkeys(places, (0, None))):
            yield record

    async def at(self, addresses: Collection[Address]) -> AsyncIterator[Record]:
        """Return the records at these addresses, of each partition in order. Raises TroubleError.

        What is not there, or no longer, is left out.
        """
        there = await self._places({address.topic for address in addresses})
        stretches: dict[TopicPartition, tuple[int, int | None]] = {}
        for address in addresses:
            place = TopicPartition(address.topic, address.partition)
            begin, end = stretches.get(place, (address.offset, 0))
            wanted = min(begin, address.offset), max(end or 0, address.offset + 1)
            if place in there:
                stretches[place] = wanted
        chosen = set(addresses)
        async for record in self._read(stretches):
            if Address(record.topic, record.partition, record.offset) in chosen:
                yield record

    async def _places(self, wanted: Collection[str]) -> set[TopicPartition]:
        try:
            existing = await partitions(self._kafka)
        except TopicsError as error:
            raise TroubleError(str(error)) from error
        missing = sorted(set(wanted) - existing.keys())
        if missing:
            raise TroubleError(f"topic {missing[0]} is missing: class-management topics create")
        return {
            TopicPartition(topic, partition)
            for topic in wanted
            for partition in range(existing[topic])
        }

    async def _read(self, stretches: Stretches) -> AsyncIterator[Record]:
        """Return what there is in these stretches."""
        stretch = _Stretch(self._consumer, stretches)
        try:
            while stretch.unread:
                for record in await stretch.some():
                    yield record
        except TimeoutError as error:
            raise TroubleError(f"{_at(self._kafka)} does not answer") from error
        except (KafkaError, OSError) as error:
            raise TroubleError(f"{_at(self._kafka)}: {reason(error)}") from error


class _Stretch:
    """Reads stretches of partitions until each is at its end."""

    def __init__(self, consumer: Any, stretches: Stretches) -> None:  # noqa: ANN401  # aiokafka has no types
        self.unread = set(stretches)
        self._consumer = consumer
        self._stretches = stretches
        self._ends: dict[TopicPartition, int] = {}
        consumer.assign(list(stretches))
        for place, (begin, _) in stretches.items():
            consumer.seek(place, begin)

    async def some(self) -> list[Record]:
        """Return the next records; none where partitions ended. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                records = await self._fetch()
                finished = {place for place in self.unread if await self._is_read(place)}
                self.unread -= finished
                if finished:
                    self._consumer.pause(*finished)
                if records or finished:
                    return records

    async def _fetch(self) -> list[Record]:
        fetched = await self._consumer.getmany(
            *self.unread, timeout_ms=WAIT_MS, max_records=RECORDS_AT_ONCE
        )
        return [
            record_from_kafka(message)
            for place, messages in fetched.items()
            for message in messages
            if message.offset < self._end(place)
        ]

    async def _is_read(self, place: TopicPartition) -> bool:
        if self._consumer.highwater(place) is None:
            return False
        begin, _ = self._stretches[place]
        end = self._end(place)
        return begin >= end or bool(await self._consumer.position(place) >= end)

    def _end(self, place: TopicPartition) -> int:
        """Return where to stop: what comes while this reads is not waited for.

        Only the answer to a fetch says where a log ends: who asks the embedded broker for it is
        told too low an offset.
        """
        if place not in self._ends:
            _, end = self._stretches[place]
            known = self._consumer.highwater(place)
            self._ends[place] = known if end is None else min(end, known)
        return self._ends[place]


@asynccontextmanager
async def reading(kafka: KafkaConfig) -> AsyncIterator[DeadLetterLog]:
    """Connect to Kafka. Raises TroubleError."""
    consumer = AIOKafkaConsumer(
        **kafka.client_options(),
        client_id="class-management-dlt",
        group_id=None,
        enable_auto_commit=False,
        # Retention moves the beginning of a log.
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    try:
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            raise TroubleError(f"{_at(kafka)}: {reason(error)}") from error
        yield DeadLetterLog(consumer, kafka)
    finally:
        await consumer.stop()


def _at(kafka: KafkaConfig) -> str:
    return f"Kafka at {kafka.bootstrap_servers}"
