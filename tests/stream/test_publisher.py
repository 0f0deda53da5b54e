"""The relay's producer, on a broker that refuses something."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.kafka import destination, parcels, producers
from agents.kafka.config import KafkaConfig
from agents.kafka.partitioner import partition_for
from agents.kafka.producer import BATCH_BYTES, KafkaEventPublisher
from devstack.broker import Broker
from devstack.rig.service import Host
from rules.models import OutboxMessage
from store.protocols.outbox import Refusal, Unsent

LIMIT = 10_000
LARGE = bytes(2 * LIMIT)


@asynccontextmanager
async def administering(kafka: KafkaConfig) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def made(kafka: KafkaConfig, **config: str) -> str:
    """Make a topic with one partition and these settings."""
    name = f"limited-{uuid4()}"
    topic_configs = {key.replace("_", "."): value for key, value in config.items()}
    async with administering(kafka) as admin:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=topic_configs)])
    return name


async def values(kafka: KafkaConfig, topic: str, partition: int = 0) -> list[bytes | None]:
    """Return everything in a topic's partition, in order."""
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(**kafka.client_options(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        found: list[bytes | None] = []
        while len(found) < end:
            records = await consumer.getmany(place, timeout_ms=1000)
            found += [record.value for record in records.get(place, ())]
        return found
    finally:
        await consumer.stop()


@pytest.fixture
def kafka(host: Host) -> KafkaConfig:
    broker = host.stack.broker
    assert isinstance(broker, Broker)
    if not broker.keeps_data:
        pytest.skip("the embedded broker refuses nothing")
    return KafkaConfig(broker.bootstrap_servers)


@pytest.fixture
async def publisher(
    kafka: KafkaConfig, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KafkaEventPublisher]:
    monkeypatch.setattr(parcels, "LOOK_UP_SECONDS", 30.0)  # topics have just been made
    publisher = KafkaEventPublisher(kafka)
    yield publisher
    await publisher.close()


async def test_what_follows_a_refused_message_is_published(
    kafka: KafkaConfig, publisher: KafkaEventPublisher
) -> None:
    topic = await made(kafka, max_message_bytes=str(LIMIT))
    for value in (b"before", LARGE, b"after"):
        unsent = await publisher.publish([OutboxMessage(topic, b"key", value, ())])
        assert unsent == Unsent({0: Refusal.TOO_LARGE} if value == LARGE else {})
    assert await values(kafka, topic) == [b"before", b"after"]


async def test_a_refused_message_is_found_and_holds_up_its_key_alone(
    kafka: KafkaConfig, publisher: KafkaEventPublisher
) -> None:
    topic = await made(kafka, max_message_bytes=str(LIMIT))
    messages = [
        OutboxMessage(topic, key, value, ())
        for key, value in (
            (b"a", b"a1"),
            (b"a", LARGE),
            (b"b", b"b1"),
            (b"a", b"a2"),
            (b"b", b"b2"),
            (None, LARGE),
            (None, b"none"),
        )
    ]
    unsent = await publisher.publish(messages)
    assert unsent == Unsent({1: Refusal.TOO_LARGE, 3: None, 5: Refusal.TOO_LARGE})
    assert await values(kafka, topic) == [b"a1", b"b1", b"b2", b"none"]


async def test_nothing_overtakes_a_refused_message_of_its_key_on_a_new_producer(
    kafka: KafkaConfig, publisher: KafkaEventPublisher
) -> None:
    # A broker that knows no sequence of the producer yet takes any: so also what comes after a
    # batch that it has refused.
    topic = await made(kafka, max_message_bytes=str(2 * BATCH_BYTES))
    large = OutboxMessage(topic, b"key", bytes(4 * BATCH_BYTES), ())
    unsent = await publisher.publish([large, OutboxMessage(topic, b"key", b"later", ())])
    assert unsent == Unsent({0: Refusal.TOO_LARGE, 1: None})
    assert await values(kafka, topic) == []


async def test_a_topic_that_takes_small_batches_gets_them(
    kafka: KafkaConfig, publisher: KafkaEventPublisher
) -> None:
    topic = await made(kafka, max_message_bytes=str(LIMIT))
    many = [OutboxMessage(topic, b"%d" % n, bytes(LIMIT // 4), ()) for n in range(40)]
    for _ in range(6):
        assert await publisher.publish(many) == Unsent({})
    assert len(await values(kafka, topic)) == 6 * 40
    assert (publisher._limits.get(topic) or LIMIT) < LIMIT


async def test_a_record_that_a_topic_never_takes_is_refused_for_good(
    kafka: KafkaConfig, publisher: KafkaEventPublisher
) -> None:
    topic = await made(kafka, cleanup_policy="compact")
    messages = [
        OutboxMessage(topic, b"key", b"with a key", ()),
        OutboxMessage(topic, None, b"without", ()),
    ]
    assert await publisher.publish(messages) == Unsent({1: Refusal.INVALID})
    assert await values(kafka, topic) == [b"with a key"]


async def test_what_is_on_its_way_to_a_partition_that_is_gone_is_sent_to_another(
    kafka: KafkaConfig, publisher: KafkaEventPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "PUBLISH_SECONDS", 2.0)
    monkeypatch.setattr(destination, "STUCK_SECONDS", 1.0)
    monkeypatch.setattr(producers, "STOP_SECONDS", 1.0)
    topic, key = f"anew-{uuid4()}", b"key"
    while partition_for(key, range(8)) < 4:
        key += b"y"
    async with administering(kafka) as admin:
        await admin.create_topics([NewTopic(topic, 8, 1)])
        await publisher.publish([OutboxMessage(topic, key, b"before", ())])
        await admin.delete_topics([topic])
        async with asyncio.timeout(60):
            # A broker deletes a topic when it has time for it.
            while await publisher.publish([OutboxMessage(topic, key, b"1", ())]) == Unsent():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await admin.create_topics([NewTopic(topic, 4, 1)])

    rows = [OutboxMessage(topic, key, value, ()) for value in (b"1", b"2")]
    async with asyncio.timeout(60):
        while await publisher.publish(rows) != Unsent():  # noqa: ASYNC110  # as a relay tries
            await asyncio.sleep(0.2)
    assert await values(kafka, topic, partition_for(key, range(4))) == [b"1", b"2"]


async def test_a_message_with_neither_key_nor_value_is_published(host: Host) -> None:
    # Kafka takes such records, so they come, and go to the dead letters as they are.
    broker = host.stack.broker
    assert isinstance(broker, Broker)
    kafka = KafkaConfig(broker.bootstrap_servers, embedded=not broker.keeps_data)
    publisher = KafkaEventPublisher(kafka)
    try:
        topic = await made(kafka)
        message = OutboxMessage(topic, None, None, (("why", b"unreadable"),))
        assert await publisher.publish([message]) == Unsent({})
    finally:
        await publisher.close()
