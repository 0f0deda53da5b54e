"""The relay's producer, on a broker that refuses something."""

from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.kafka.config import KafkaConfig
from agents.kafka.producer import KafkaEventPublisher
from devstack.broker import Broker
from devstack.rig.service import Host
from rules.models import OutboxMessage
from store.protocols.outbox import PublishError

LIMIT = 10_000


async def limited_topic(kafka: KafkaConfig) -> str:
    name = f"limited-{uuid4()}"
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        limits = {"max.message.bytes": str(LIMIT)}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=limits)])
    finally:
        await admin.close()
    return name


async def test_what_follows_a_refused_message_is_published(host: Host) -> None:
    broker = host.stack.broker
    assert isinstance(broker, Broker)
    if not broker.keeps_data:
        pytest.skip("the embedded broker refuses nothing")
    kafka = KafkaConfig(broker.bootstrap_servers)
    topic = await limited_topic(kafka)
    publisher = KafkaEventPublisher(kafka)
    try:
        await publisher.publish([OutboxMessage(topic, b"key", b"before", ())])
        with pytest.raises(PublishError):
            await publisher.publish([OutboxMessage(topic, b"key", bytes(2 * LIMIT), ())])
        await publisher.publish([OutboxMessage(topic, b"key", b"after", ())])
    finally:
        await publisher.close()


async def test_a_message_with_neither_key_nor_value_is_published(host: Host) -> None:
    # Kafka takes such records, so they come, and go to the dead letters as they are.
    broker = host.stack.broker
    assert isinstance(broker, Broker)
    kafka = KafkaConfig(broker.bootstrap_servers, embedded=not broker.keeps_data)
    publisher = KafkaEventPublisher(kafka)
    try:
        topic = await limited_topic(kafka)
        await publisher.publish([OutboxMessage(topic, None, None, (("why", b"unreadable"),))])
    finally:
        await publisher.close()
