"""What the log no longer has, unread, is told once: a line and a metric."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import TIMERS, Topics, committed
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, suggest
from devstack.rig.waiting import until

DELETED: Final = 5
LOST: Final = "deleted before it was read"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def admin(host: Host) -> AsyncIterator[AIOKafkaAdminClient]:
    """Delete records, as retention does."""
    assert host.stack.broker is not None
    if not host.stack.broker.keeps_data:
        pytest.skip("the embedded broker deletes no records")
    admin = AIOKafkaAdminClient(bootstrap_servers=host.stack.broker.bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def delete(admin: AIOKafkaAdminClient, topic: str, partition: int, before: int) -> None:
    """Have a log begin at an offset."""
    await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)})


async def lost(http: Http, agent: str) -> float:
    """Return how many offsets the worker has counted as lost since its start."""
    text = (await http.send("GET", "/metrics")).body.decode()
    name = f'class_management_offsets_lost_total{{agent="{agent}"}} '
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


async def told(
    service: ServiceProcess, topic: str, partition: int, since: int = 0
) -> list[tuple[int, int]]:
    """Wait until the loss of a partition is told; return from where to before where."""

    async def look() -> list[tuple[int, int]]:
        return now_told(service, topic, partition, since)

    return await until(f"a line about {topic}, partition {partition}", look)


def now_told(
    service: ServiceProcess, topic: str, partition: int, since: int = 0
) -> list[tuple[int, int]]:
    """Return what is told of offsets from `since` on: another test may have lost earlier ones."""

    def is_it(line: dict[str, Any]) -> bool:
        return (line["topic"], line["partition"]) == (topic, partition) and line["begin"] >= since

    return [(line["begin"], line["end"]) for line in service.logged(LOST) if is_it(line)]


@pytest.mark.parametrize("followed", [True, False])
async def test_suggestions_that_were_deleted_during_an_outage_are_told_once(
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    admin: AIOKafkaAdminClient,
    *,
    followed: bool,
) -> None:
    """Also where nothing follows them, and not again after the next start."""
    class_id = await teacher.new_class()
    first, *deleted, last = [suggest(class_id, []) for _ in range(DELETED + 2)]
    partition, offset = await topics.send(first.value, first.batch_id)
    await teacher.stored(first.batch_id)
    await asyncio.to_thread(service.end)
    for message in deleted:
        await topics.send(message.value, first.batch_id)
    begin, end = offset + 1, offset + 1 + DELETED
    await delete(admin, TOPIC, partition, end)
    if followed:
        await topics.send(last.value, first.batch_id)
    await asyncio.to_thread(service.start)

    assert await told(service, TOPIC, partition, begin) == [(begin, end)]
    assert await lost(teacher.http, "suggestions") == DELETED
    if followed:
        await teacher.stored(last.batch_id)
    await asyncio.to_thread(service.again)
    again = suggest(class_id, [])
    await topics.send(again.value, first.batch_id)
    await teacher.stored(again.batch_id)
    assert now_told(service, TOPIC, partition, begin) == [(begin, end)]


async def test_timers_that_were_deleted_during_an_outage_are_told(
    host: Host,
    service: ServiceProcess,
    topics: Topics,
    http: Http,
    admin: AIOKafkaAdminClient,
) -> None:
    assert host.stack.broker is not None
    batch_id = str(uuid4())
    timer = orjson.dumps({"event_id": batch_id, "data": {"event": "cleared", "batch_id": batch_id}})
    partition, offset = await topics.send(timer, batch_id, topic=TIMERS)
    await committed(host.stack.broker.bootstrap_servers, TIMERS)
    await asyncio.to_thread(service.end)
    for _ in range(DELETED):
        await topics.send(timer, batch_id, topic=TIMERS)
    end = offset + 1 + DELETED
    await delete(admin, TIMERS, partition, end)
    await topics.send(timer, batch_id, topic=TIMERS)
    await asyncio.to_thread(service.start)

    assert await told(service, TIMERS, partition) == [(offset + 1, end)]
    assert await lost(http, "timers") == DELETED
