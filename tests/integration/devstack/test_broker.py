import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from devstack import apache
from devstack.broker import Broker
from devstack.stack import Stack

TOPIC = "round.trip.v1"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run the kind that BROKER names."""
    stack = Stack(tmp_path, environ={"BROKER": os.environ.get("BROKER", "")})
    assert stack.broker is not None
    with stack.broker as server:
        yield server


@asynccontextmanager
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def send(broker: Broker, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(TOPIC, value, key=b"key", headers=[("name", b"\xff")])
    finally:
        await producer.stop()


async def receive(broker: Broker) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=broker.bootstrap_servers,
        group_id="readers",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=2_000,  # the embedded broker's group takes half of it to form
        heartbeat_interval_ms=500,
    )
    await consumer.start()
    try:
        batches = await consumer.getmany(timeout_ms=20_000)
        return [record.value for records in batches.values() for record in records]
    finally:
        await consumer.stop()


def test_an_id_for_a_cluster_does_not_look_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda size: b"\xfb" * size)
    assert not apache.cluster_id().startswith("-")
    assert len(apache.cluster_id()) == 22


async def test_a_message_comes_through(broker: Broker) -> None:
    async with admin(broker) as client:
        await client.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    await send(broker, b"there")
    assert await receive(broker) == [b"there"]


async def test_what_it_keeps_survives_a_kill(broker: Broker) -> None:
    async with admin(broker) as client:
        await client.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    await send(broker, b"kept")
    broker.kill()
    broker.start()
    async with admin(broker) as client:
        assert (TOPIC in await client.list_topics()) == broker.keeps_data
    if broker.keeps_data:
        assert await receive(broker) == [b"kept"]


async def test_paused_it_is_not_ready(broker: Broker) -> None:
    broker.pause()
    assert not broker.is_ready()
    broker.resume()
    assert broker.is_ready()
