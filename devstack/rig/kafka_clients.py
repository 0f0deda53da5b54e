"""aiokafka's clients as context managers."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

#: Kafka answers as soon as it has records; the embedded broker only after half of this.
WAIT_MS: Final = 100
#: The embedded broker counts a batch of records as one when asked for the end of a log, so there
#: may be records after that end: reading goes on until none arrive for this long.
SILENCE_MS: Final = 500


@asynccontextmanager
async def kafka_producer(
    servers: str,
    **options: Any,  # noqa: ANN401  # aiokafka's
) -> AsyncIterator[AIOKafkaProducer]:
    """Return a producer for the length of the context."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, **options)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def kafka_consumer(
    servers: str,
    *topics: str,
    wait_ms: int = WAIT_MS,
    **options: Any,  # noqa: ANN401  # aiokafka's
) -> AsyncIterator[AIOKafkaConsumer]:
    """Return a consumer that commits nothing, for the length of the context."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=servers,
        enable_auto_commit=False,
        fetch_max_wait_ms=wait_ms,
        **options,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def tail(
    servers: str, *topics: str, wait_ms: int = WAIT_MS, silence_ms: int = SILENCE_MS
) -> AsyncIterator[AIOKafkaConsumer]:
    """Read records from now on in all partitions, without a group."""
    async with kafka_consumer(servers, *topics, wait_ms=wait_ms) as consumer:
        await consumer.seek_to_end()
        for partition in consumer.assignment():
            await consumer.position(partition)
        while silence_ms and await consumer.getmany(timeout_ms=silence_ms):
            pass
        yield consumer


def places_of(topics: Iterable[str], partitions: int) -> list[TopicPartition]:
    """Return all partitions of these topics."""
    return [TopicPartition(topic, number) for topic in topics for number in range(partitions)]


def assign_from_start(consumer: AIOKafkaConsumer, places: Iterable[TopicPartition]) -> None:
    """Assign partitions to a consumer, from their beginning."""
    places = list(places)
    consumer.assign(places)
    for place in places:
        # Not `seek_to_beginning`: the lookup of the end after an assignment may overtake it.
        consumer.seek(place, 0)
