"""Reads topics for people, without a consumer group, so that no offsets change."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiokafka import TopicPartition

from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from agents.kafka.log_reader import LogReader, ReaderConfig, Stretches, log_reader
from agents.kafka.topic_specs import FoundTopic
from agents.kafka.topics import TopicsError, found
from rules.errors import reason
from rules.models import Record, Undecodable

#: After so long a batch that cannot be decoded is passed over: somebody waits, and the next reading
#: tries it again.
OVER_SECONDS: Final = 1.0


class TopicLogError(Exception):
    """Topics cannot be read; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom topics are read.

    `answering` surrounds what waits for a server for up to `connect_seconds`; it raises
    TimeoutError, or what it likes. `passed_over` is told of what cannot be decoded.
    """

    client_id: str
    connect_seconds: float
    answering: Callable[[str], AbstractAsyncContextManager[object]]
    passed_over: Callable[[str], None]
    #: What is fetched of a partition at once, where not one message alone is larger.
    fetch_bytes: int = MAX_MESSAGE_BYTES


class TopicLog:
    """The present content of topics."""

    def __init__(self, log: LogReader, kafka: KafkaConfig, reader: Reader) -> None:
        self._log = log
        self._kafka = kafka
        self._reader = reader

    async def topics(self, wanted: Collection[str]) -> dict[str, FoundTopic]:
        """Return topics, all of them. Raises TopicLogError."""
        try:
            async with _answering(self._kafka, self._reader):
                existing = await found(self._kafka, wanted)
        except TopicsError as error:
            raise TopicLogError(str(error)) from error
        missing = sorted(set(wanted) - existing.keys())
        if missing:
            raise TopicLogError(f"topic {missing[0]} is missing: class-management topics create")
        return existing

    async def bounds(
        self, places: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return where each log begins and ends, as LogReader does. Raises TopicLogError."""
        async with _answering(self._kafka, self._reader):
            return await self._log.bounds((place.topic, place.partition) for place in places)

    async def since(self, places: Iterable[TopicPartition], at: datetime) -> Stretches:
        """Return what was written at an instant or later. Raises TopicLogError."""
        async with _answering(self._kafka, self._reader):
            return await self._log.since(places, at)

    async def read(self, stretches: Stretches) -> AsyncIterator[Record]:
        """Return the records of these stretches. Raises TopicLogError."""
        if not stretches:
            return
        reading = self._log.read(stretches)
        try:
            while reading.unread:
                for records in (await reading.poll()).values():
                    for record in records:
                        if record.undecodable:
                            self._reader.passed_over(_passed_over(record, record.undecodable))
                        else:
                            yield record
        except TimeoutError as error:
            raise TopicLogError(f"{_at(self._kafka)} does not answer") from error
        except OSError as error:
            raise TopicLogError(f"{_at(self._kafka)}: {reason(error)}") from error


def all_of(existing: Iterable[FoundTopic]) -> set[TopicPartition]:
    """Return the partitions of topics."""
    return {TopicPartition(topic.name, n) for topic in existing for n in range(topic.partitions)}


@asynccontextmanager
async def opened(kafka: KafkaConfig, reader: Reader) -> AsyncIterator[TopicLog]:
    """Connect to Kafka. Raises TopicLogError."""
    async with AsyncExitStack() as stack:
        # A batch that cannot be decoded is fetched again for a while.
        patience = reader.connect_seconds + 2 * OVER_SECONDS
        config = ReaderConfig(
            reader.client_id,
            fetch_bytes=reader.fetch_bytes,
            patience_seconds=patience,
            over_seconds=OVER_SECONDS,
        )
        async with _answering(kafka, reader):
            log = await stack.enter_async_context(log_reader(kafka, config))
        yield TopicLog(log, kafka, reader)


@asynccontextmanager
async def _answering(kafka: KafkaConfig, reader: Reader) -> AsyncIterator[None]:
    try:
        async with reader.answering(_at(kafka)):
            yield
    except OSError as error:
        raise TopicLogError(f"{_at(kafka)}: {reason(error)}") from error


def _passed_over(record: Record, batch: Undecodable) -> str:
    offsets = f"offsets {batch.first_offset} to {record.offset}"
    return f"{record.topic}, partition {record.partition}: {offsets} cannot be decoded, left out"


def _at(kafka: KafkaConfig) -> str:
    return f"Kafka at {kafka.bootstrap_servers}"
