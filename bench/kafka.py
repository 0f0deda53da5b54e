"""The producers of the benchmarks."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer

from devstack.rig.kafka_clients import kafka_producer

LINGER_MS: Final = 2
BATCH_BYTES: Final = 256 * 1024
#: As the service creates its topics.
LARGEST_MESSAGE: Final = 8 * 1024 * 1024

#: How long a fetch may wait for records when their arrival is timed.
TAIL_MS: Final = 10

Keyed = tuple[bytes, bytes]


@asynccontextmanager
async def producing(
    servers: str, topic: str, linger_ms: int = LINGER_MS
) -> AsyncIterator[AIOKafkaProducer]:
    """Produce in batches that are sent at once, to a topic whose partitions are known."""
    options = {"linger_ms": linger_ms, "max_batch_size": BATCH_BYTES}
    async with kafka_producer(servers, max_request_size=LARGEST_MESSAGE, **options) as producer:
        await producer.partitions_for(topic)
        yield producer


async def send_all(producer: AIOKafkaProducer, topic: str, messages: Iterable[Keyed]) -> None:
    """Send keys and values as fast as Kafka accepts them, until all are acknowledged."""
    sent = [await producer.send(topic, value, key=key) for key, value in messages]
    await asyncio.gather(*sent)
