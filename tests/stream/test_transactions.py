"""Only what Kafka's transactions commit is carried out, and they hold up nothing else."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from agents.consumers.gap_filler import LOOK_SECONDS, QUIET_LOOKS
from agents.kafka.partitioner import partition_for
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import (
    COMMAND_RESULTS,
    COMMANDS,
    DEAD_SUGGESTIONS,
    PARTITIONS,
    Json,
    Topics,
)
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, suggest
from tests.support.command_line import call
from tests.support.commands import envelope

READ_AGAIN: Final = "skipped by the stream and read again"
TRANSACTIONS: Final = 1_000
ABORTED_EACH: Final = 10
#: Rebalances and the end of the log between two looks may still open a few.
FEW: Final = 5

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _with_transactions(host: Host) -> None:
    if host.stack.broker is not None and not host.stack.broker.keeps_data:
        pytest.skip("the embedded broker has no transactions")


@asynccontextmanager
async def transactional(host: Host) -> AsyncIterator[AIOKafkaProducer]:
    """Return a producer of transactions."""
    assert host.stack.broker is not None
    servers = host.stack.broker.bootstrap_servers
    async with kafka_producer(servers, transactional_id=uuid4().hex) as producer:
        yield producer


async def holes(http: Http) -> float:
    """Return how many holes the worker has read, with a consumer for each."""
    text = (await http.send("GET", "/metrics")).body.decode()
    found = re.findall(r"^class_management_stream_holes_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def new_class(teacher: Teacher, name: str) -> Json:
    return envelope("class.create", teacher.id, name=name, course_codes=["SV1"])


async def test_a_thousand_transactions_of_one_record_cost_no_consumer_each(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    """Their markers, and what aborted ones wrote, are gaps that the fetcher has seen."""
    before = await holes(teacher.http)
    key = teacher.id.encode()
    kept, dropped = [], []
    async with transactional(host) as producer:
        for number in range(TRANSACTIONS):
            command = new_class(teacher, f"Klass {number}")
            await producer.begin_transaction()
            await producer.send_and_wait(COMMANDS, orjson.dumps(command), key=key)
            if number % ABORTED_EACH:
                await producer.commit_transaction()
                kept.append(str(command["event_id"]))
            else:
                await producer.abort_transaction()
                dropped.append(str(command["event_id"]))

    for event_id in kept:
        result = await topics.expect_one(COMMAND_RESULTS, event_id)
        assert result.data["status"] == "applied"
    await topics.settle([COMMAND_RESULTS])
    assert not [event_id for event_id in dropped if topics.now(COMMAND_RESULTS, event_id)]
    # The last marker follows the last record: nothing shows that, and it is no stall.
    await asyncio.sleep((QUIET_LOOKS + 2) * LOOK_SECONDS)
    assert await holes(teacher.http) - before <= FEW


async def test_an_open_transaction_delays_its_own_partition_only(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    class_id = await teacher.new_class()
    places = range(PARTITIONS)
    inside, behind = suggest(class_id, []), suggest(class_id, [])
    key = inside.batch_id
    partition = partition_for(key.encode(), places)
    others = [suggest(class_id, []) for _ in range(40)]
    beside = [m for m in others if partition_for(m.batch_id.encode(), places) != partition]
    before = len(service.logged(READ_AGAIN))
    async with transactional(host) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(TOPIC, inside.value, key=key.encode())
        await topics.suggest(behind, key=key)
        for message in beside[:20]:
            await topics.suggest(message)
            await teacher.stored(message.batch_id)
        # Long enough for a hole, if one were seen here.
        await asyncio.sleep((QUIET_LOOKS + 2) * LOOK_SECONDS)
        for message in beside[20:]:
            await topics.suggest(message)
            await teacher.stored(message.batch_id)
        for waiting in (inside, behind):
            assert (await teacher.batch(waiting.batch_id)).status == 404
        await producer.commit_transaction()
    await teacher.stored(inside.batch_id)
    await teacher.stored(behind.batch_id)
    read = service.logged(READ_AGAIN)[before:]
    assert [line for line in read if (line["topic"], line["partition"]) == (TOPIC, partition)] == []


async def test_a_transaction_across_a_restart_is_read_once_it_ends(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    """The partition ends with an aborted record and markers when the worker starts."""
    class_id = await teacher.new_class()
    first, aborted, last = (suggest(class_id, []) for _ in range(3))
    before = len(service.logged(READ_AGAIN))
    key = first.batch_id.encode()
    async with transactional(host) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(TOPIC, first.value, key=key)
        await producer.commit_transaction()
        await teacher.stored(first.batch_id)
        await asyncio.to_thread(service.end)
        await producer.begin_transaction()
        await producer.send_and_wait(TOPIC, aborted.value, key=key)
        await producer.abort_transaction()
        await asyncio.to_thread(service.start)
        await asyncio.sleep((QUIET_LOOKS + 2) * LOOK_SECONDS)
    await topics.suggest(last, key=first.batch_id)
    await teacher.stored(last.batch_id)
    assert (await teacher.batch(aborted.batch_id)).status == 404
    # Others' messages may have been skipped at the restart: a hole with some in it is a hole.
    read = service.logged(READ_AGAIN)[before:]
    assert [line for line in read if not line["found"]] == []


async def test_dead_letters_of_an_aborted_transaction_are_not_listed(
    host: Host, topics: Topics
) -> None:
    mark = uuid4().hex
    headers = [("dlt-reason", mark.encode())]
    async with transactional(host) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(DEAD_SUGGESTIONS, b"aborted", headers=headers)
        await producer.abort_transaction()
    await topics.send(b"kept", headers=headers, topic=DEAD_SUGGESTIONS)
    done = await call("dlt", "list", "--all", "--json", environ=host.command_environ())
    assert done.code == 0, done.err
    assert [line["size"] for line in done.lines if line["reason"] == mark] == [len(b"kept")]
