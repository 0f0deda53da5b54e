"""Reads the `.dlt` topics without a consumer group, so that no offsets change."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from aiokafka import TopicPartition

from agents.kafka.config import KafkaConfig
from agents.kafka.fetching import OVER_SECONDS
from agents.kafka.log_reader import LogReader, ReaderConfig, Stretches, log_reader
from agents.kafka.records import record_from_kafka
from agents.kafka.topics import TopicsError, found
from class_management.cli.runner import TroubleError, answering, connect_seconds, reason, warn
from rules.dead_letters.letters import Address
from rules.models import Record, Undecodable

CLIENT_ID: Final = "class-management-dlt"


class DeadLetterLog:
    """The present content of the dead letter topics."""

    def __init__(self, reader: LogReader, kafka: KafkaConfig) -> None:
        self._reader = reader
        self._kafka = kafka

    async def all(self, wanted: Collection[str]) -> AsyncIterator[Record]:
        """Return every record of these topics. Raises TroubleError."""
        places = await self._places(wanted)
        async for record in self._read(dict.fromkeys(places, (0, None))):
            yield record

    async def at(self, addresses: Collection[Address]) -> AsyncIterator[Record]:
        """Return the records at these addresses, in order within each partition.

        Leaves out those that do not exist, or no longer. Raises TroubleError.
        """
        existing = await self._places({address.topic for address in addresses})
        stretches: dict[TopicPartition, tuple[int, int | None]] = {}
        for address in addresses:
            place = TopicPartition(address.topic, address.partition)
            begin, end = stretches.get(place, (address.offset, 0))
            wanted = min(begin, address.offset), max(end or 0, address.offset + 1)
            if place in existing:
                stretches[place] = wanted
        chosen = set(addresses)
        async for record in self._read(stretches):
            if Address(record.topic, record.partition, record.offset) in chosen:
                yield record

    async def _places(self, wanted: Collection[str]) -> set[TopicPartition]:
        try:
            async with answering(_at(self._kafka)):
                existing = await found(self._kafka, wanted)
        except TopicsError as error:
            raise TroubleError(str(error)) from error
        missing = sorted(set(wanted) - existing.keys())
        if missing:
            raise TroubleError(f"topic {missing[0]} is missing: class-management topics create")
        return {
            TopicPartition(topic, partition)
            for topic in wanted
            for partition in range(existing[topic].partitions)
        }

    async def _read(self, stretches: Stretches) -> AsyncIterator[Record]:
        """Return the records of these stretches."""
        reading = self._reader.read(stretches)
        try:
            while reading.unread:
                for messages in (await reading.poll()).values():
                    for record in map(record_from_kafka, messages):
                        if record.undecodable:
                            warn(_passed_over(record, record.undecodable))
                        else:
                            yield record
        except TimeoutError as error:
            raise TroubleError(f"{_at(self._kafka)} does not answer") from error
        except OSError as error:
            raise TroubleError(f"{_at(self._kafka)}: {reason(error)}") from error


@asynccontextmanager
async def reading(kafka: KafkaConfig) -> AsyncIterator[DeadLetterLog]:
    """Connect to Kafka. Raises TroubleError."""
    async with AsyncExitStack() as stack:
        try:
            # A batch that cannot be decoded is fetched again for a while.
            config = ReaderConfig(CLIENT_ID, patience_seconds=connect_seconds() + 2 * OVER_SECONDS)
            async with answering(_at(kafka)):
                reader = await stack.enter_async_context(log_reader(kafka, config))
        except OSError as error:
            raise TroubleError(f"{_at(kafka)}: {reason(error)}") from error
        yield DeadLetterLog(reader, kafka)


def _passed_over(record: Record, batch: Undecodable) -> str:
    offsets = f"offsets {batch.first_offset} to {record.offset}"
    return f"{record.topic}, partition {record.partition}: {offsets} cannot be decoded, left out"


def _at(kafka: KafkaConfig) -> str:
    return f"Kafka at {kafka.bootstrap_servers}"
