"""Events are published inside the transaction, before it is known whether it commits."""

import asyncio
import os
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from rules.models import OutboxMessage
from store.postgres import outbox
from store.postgres.database import Connection

#: Between the event and the commit, so that a fault can strike in between.
PAUSE_SECONDS = 0.05

_started: asyncio.Task[AIOKafkaProducer] | None = None


async def _start() -> AIOKafkaProducer:
    servers = os.environ["CLASS_MANAGEMENT_SERVICE_KAFKA_BOOTSTRAP_SERVERS"]
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await producer.start()
    return producer


async def put(connection: Connection, messages: Sequence[OutboxMessage]) -> None:
    """Publish the messages at once, instead of writing them to the outbox."""
    del connection
    global _started  # noqa: PLW0603
    if _started is None:
        _started = asyncio.create_task(_start())
    producer = await asyncio.shield(_started)
    for m in messages:
        await producer.send(m.topic, m.value, key=m.key, headers=list(m.headers))
    await producer.flush()
    await asyncio.sleep(PAUSE_SECONDS)


outbox.put = put
