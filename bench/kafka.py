"""Producers as the benchmarks use them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer

from devstack.rig.kafka_clients import kafka_producer

LINGER_MS: Final = 2
BATCH_BYTES: Final = 256 * 1024
#: As the service makes its topics.
LARGEST_MESSAGE: Final = 8 * 1024 * 1024

#: How long Kafka may wait for something to read where what arrives is timed.
TAIL_MS: Final = 10

Keyed = tuple[bytes, bytes]


@asynccontextmanager
async def producing(
    servers: str, topic: str, linger_ms: int = LINGER_MS
) -> AsyncIterator[AIOKafkaProducer]:
    """Produce in batches that leave at once, to a topic whose partitions are known before."""
    options = {"linger_ms": linger_ms, "max_batch_size": BATCH_BYTES}
    async with kafka_producer(servers, max_request_size=LARGEST_MESSAGE, **options) as producer:
        await producer.partitions_for(topic)
        yield producer


async def send_all(producer: AIOKafkaProducer, topic: str, messages: Iterable[Keyed]) -> None:
    """Send keys and values as fast as Kafka takes them; return once all are acknowledged."""
    sent = [await producer.send(topic, value, key=key) for key, value in messages]
    await asyncio.gather(*sent)
