"""What Kafka's offsets pass over is found by what PostgreSQL knows to be stored."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndMetadata

from devstack.rig.database import Database
from devstack.rig.http import Teacher
from devstack.rig.kafka import NOTIFICATIONS, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, Suggested, suggest
from devstack.rig.waiting import until

GROUP: Final = "class-management-service"
SKIPPED: Final = 5

LOWER_PROGRESS: Final = """
update consumer_progress set next_offset = next_offset - $1
where topic = $2 and partition = $3
"""

pytestmark = pytest.mark.timeout(240)


async def commit(host: Host, partition: int, offset: int) -> None:
    """Have Kafka believe that the group has read so far, once it has no members any more."""
    assert host.stack.broker is not None
    consumer = AIOKafkaConsumer(
        bootstrap_servers=host.stack.broker.bootstrap_servers,
        group_id=GROUP,
        enable_auto_commit=False,
    )
    place = TopicPartition(TOPIC, partition)

    async def committed() -> bool:
        try:
            await consumer.commit({place: OffsetAndMetadata(offset, "")})
        except CommitFailedError:
            return False
        return True

    await consumer.start()
    try:
        consumer.assign([place])
        await until("a group without members", committed)
    finally:
        await consumer.stop()


async def send(topics: Topics, messages: Sequence[Suggested], key: str) -> tuple[int, int]:
    """Send to the partition of a key; return it, and the last offset."""
    sent = [await topics.send(message.value, key) for message in messages]
    return sent[-1]


async def found(service: ServiceProcess, partition: int, end: int) -> int:
    """Wait until the worker has read a hole that ends there; return the messages it found."""

    async def look() -> list[int]:
        lines = service.logged("skipped by the stream and read again")
        place = (partition, end)
        return [line["found"] for line in lines if (line["partition"], line["end"]) == place]

    return (await until(f"a hole before {end} in partition {partition}", look))[0]


@pytest.mark.parametrize("followed", [False, True])
async def test_messages_that_kafka_takes_for_read_are_stored(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics, *, followed: bool
) -> None:
    """Also where nothing follows them that would show the hole."""
    if host.stack.broker is not None and not host.stack.broker.keeps_data:
        pytest.skip("a group of the embedded broker keeps members that are gone")
    class_id = await teacher.new_class()
    first, *skipped, last = [suggest(class_id, []) for _ in range(SKIPPED + 2)]
    await send(topics, [first], first.batch_id)
    await teacher.stored(first.batch_id)
    await asyncio.to_thread(service.end)
    partition, offset = await send(topics, skipped, first.batch_id)
    await commit(host, partition, offset + 1)
    if followed:
        await send(topics, [last], first.batch_id)
    await asyncio.to_thread(service.again)

    for message in [*skipped, last] if followed else skipped:
        await teacher.stored(message.batch_id)
    assert await found(service, partition, offset + 1) == SKIPPED


async def test_progress_of_a_backup_is_made_up_for(
    service: ServiceProcess, teacher: Teacher, topics: Topics, database: Database
) -> None:
    """The messages that came after the backup are read again; here they are all known."""
    class_id = await teacher.new_class()
    messages = [suggest(class_id, []) for _ in range(SKIPPED)]
    partition, offset = await send(topics, messages, messages[0].batch_id)
    for message in messages:
        await teacher.stored(message.batch_id)
    await topics.settle()
    before = len(topics.now(NOTIFICATIONS, teacher.id))
    await asyncio.to_thread(service.end)
    await database.execute(LOWER_PROGRESS, SKIPPED, TOPIC, partition)
    await asyncio.to_thread(service.again)

    assert await found(service, partition, offset + 1) == SKIPPED
    assert len(await topics.all_of(NOTIFICATIONS, teacher.id)) == before


async def test_progress_follows_what_is_stored(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    class_id = await teacher.new_class()
    message = suggest(class_id, [])
    for value in (message.value, b"no JSON"):
        partition, offset = await topics.send(value, message.batch_id)

        async def stored(partition: int = partition, offset: int = offset) -> bool:
            progress = await database.value(
                "select next_offset from consumer_progress where topic = $1 and partition = $2",
                TOPIC,
                partition,
            )
            return bool(progress == offset + 1)

        await until(f"progress beyond {offset} in partition {partition}", stored)
    await teacher.stored(message.batch_id)
