"""Reads topics without a consumer group, so that no offsets change."""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from aiokafka import TopicPartition

from agents.kafka.config import KafkaConfig
from agents.kafka.fetching import OVER_SECONDS
from agents.kafka.log_reader import LogReader, ReaderConfig, Stretches, log_reader
from agents.kafka.records import record_from_kafka
from agents.kafka.topic_specs import FoundTopic
from agents.kafka.topics import TopicsError, found
from class_management.cli.runner import TroubleError, answering, connect_seconds, reason, warn
from rules.models import Record, Undecodable


class Log:
    """The present content of topics."""

    def __init__(self, reader: LogReader, kafka: KafkaConfig) -> None:
        self._reader = reader
        self._kafka = kafka

    async def topics(self, wanted: Collection[str]) -> dict[str, FoundTopic]:
        """Return topics, all of them. Raises TroubleError."""
        try:
            async with answering(_at(self._kafka)):
                existing = await found(self._kafka, wanted)
        except TopicsError as error:
            raise TroubleError(str(error)) from error
        missing = sorted(set(wanted) - existing.keys())
        if missing:
            raise TroubleError(f"topic {missing[0]} is missing: class-management topics create")
        return existing

    async def since(self, places: Iterable[TopicPartition], at: datetime) -> Stretches:
        """Return what was written at an instant or later. Raises TroubleError."""
        try:
            async with answering(_at(self._kafka)):
                return await self._reader.since(places, at)
        except OSError as error:
            raise TroubleError(f"{_at(self._kafka)}: {reason(error)}") from error

    async def read(self, stretches: Stretches) -> AsyncIterator[Record]:
        """Return the records of these stretches. Raises TroubleError."""
        if not stretches:
            return
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


def all_of(existing: Iterable[FoundTopic]) -> set[TopicPartition]:
    """Return the partitions of topics."""
    return {TopicPartition(topic.name, n) for topic in existing for n in range(topic.partitions)}


@asynccontextmanager
async def opened(kafka: KafkaConfig, client_id: str) -> AsyncIterator[Log]:
    """Connect to Kafka. Raises TroubleError."""
    async with AsyncExitStack() as stack:
        try:
            # A batch that cannot be decoded is fetched again for a while.
            config = ReaderConfig(client_id, patience_seconds=connect_seconds() + 2 * OVER_SECONDS)
            async with answering(_at(kafka)):
                reader = await stack.enter_async_context(log_reader(kafka, config))
        except OSError as error:
            raise TroubleError(f"{_at(kafka)}: {reason(error)}") from error
        yield Log(reader, kafka)


def _passed_over(record: Record, batch: Undecodable) -> str:
    offsets = f"offsets {batch.first_offset} to {record.offset}"
    return f"{record.topic}, partition {record.partition}: {offsets} cannot be decoded, left out"


def _at(kafka: KafkaConfig) -> str:
    return f"Kafka at {kafka.bootstrap_servers}"
