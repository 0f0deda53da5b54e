"""A broker that refuses messages for good: what the service does, and what people decide."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from devstack.broker import Broker
from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CLASS_CREATED, CLASS_UPDATED, DEAD_SUGGESTIONS, Topics
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC as SUGGESTIONS
from devstack.rig.suggestions import suggest
from devstack.rig.topics import refusing
from devstack.rig.waiting import until
from rules.sizes import MAX_MESSAGE_BYTES
from tests.support.command_line import call

SET_ASIDE: Final = "select count(*) from outbox_set_aside"


@pytest.fixture
def servers(host: Host, service: ServiceProcess) -> str:
    """Have Apache Kafka and a worker; return the broker's address."""
    broker = host.stack.broker
    assert service.pid is not None
    assert isinstance(broker, Broker)
    if not broker.keeps_data:
        pytest.skip("the embedded broker refuses nothing")
    return broker.bootstrap_servers


@pytest.fixture
async def refused(servers: str) -> AsyncIterator[None]:
    """Have the broker refuse what tells of changed classes."""
    async with refusing(servers, CLASS_UPDATED):
        yield


async def outbox(host: Host, *arguments: str) -> list[Any]:
    done = await call("outbox", *arguments, environ=host.command_environ())
    assert (done.code, done.err) == (0, "")
    return done.lines if "--json" in arguments else done.out.splitlines()


async def rename(teacher: Teacher, class_id: str, *names: str) -> None:
    for name in names:
        await teacher.done("PUT", f"/v1/classes/{class_id}", {"name": name})


async def behind(host: Host) -> dict[str, int]:
    """Return the keys that are held up, and how many messages wait behind each."""
    return {line["key"]: line["waiting"] for line in await outbox(host, "list", "--json")}


async def names(topics: Topics, class_id: str, count: int) -> list[str]:
    messages = await topics.expect(CLASS_UPDATED, class_id, count)
    return [message.data["class_designation"] for message in messages]


async def is_status(http: Http, status: str) -> bool:
    code, body = await http.health("/healthz")
    assert code == 200
    return bool(body["status"] == status)


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("refused")
async def test_only_its_key_waits_until_a_person_decides_also_across_restarts(
    host: Host,
    http: Http,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
) -> None:
    held, other = await teacher.new_class(), await teacher.new_class()
    await rename(teacher, held, "1", "2")
    await rename(teacher, other, "3")

    async def both_are_held() -> bool:
        return await behind(host) == {held: 1, other: 0}

    await until("both classes to be held up", both_are_held)
    # Everything else goes on, also with the same keys.
    await topics.expect(CLASS_CREATED, held)
    third = await teacher.new_class()
    await topics.expect(CLASS_CREATED, third)
    batch = suggest(third, [])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id)

    await until("the health to tell it", lambda: is_status(http, "degraded"))
    _, body = await http.health("/healthz")
    assert body["checks"]["outbox"].startswith("messages set aside: 2 refused")
    for path in ("/livez", "/readyz"):
        status, body = await http.health(path)
        assert (status, body["status"]) == (200, "healthy")
    metrics = (await http.send("GET", "/metrics")).body.decode()
    assert 'class_management_outbox_refused_total{reason="too_large"} 2.0' in metrics
    assert "class_management_outbox_set_aside_messages 3.0" in metrics
    lines = service.logged("message refused by the broker, set aside")
    assert {line["topic"] for line in lines} == {CLASS_UPDATED}
    assert sum(line["messages"] for line in lines) == 2
    assert held not in str(lines)

    await asyncio.to_thread(service.again)
    await rename(teacher, held, "4")
    await until("the next one to be held, too", lambda: is_behind(host, held, 2))
    assert len(service.logged("message refused by the broker, set aside")) == len(lines)


async def is_behind(host: Host, key: str, count: int) -> bool:
    return (await behind(host))[key] == count


@pytest.mark.timeout(240)
async def test_what_is_retried_comes_in_order_and_what_is_dropped_never(
    host: Host,
    http: Http,
    second: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
    servers: str,
) -> None:
    assert second.pid is not None
    one, two = await teacher.new_class(), await teacher.new_class()
    earlier = await database.value(SET_ASIDE)
    async with refusing(servers, CLASS_UPDATED):
        await rename(teacher, one, "1", "2")
        await rename(teacher, two, "1", "2")

        async def all_are_aside() -> bool:
            return bool(await database.value(SET_ASIDE) == earlier + 4)

        await until("all to be set aside", all_are_aside)
        numbers = {m["key"]: m["number"] for m in await outbox(host, "list", "--json")}
        # Nothing has changed: it is refused again, and keeps its place.
        await outbox(host, "retry", str(numbers[one]))
        await until("it to be refused again", all_are_aside)
    await rename(teacher, one, "3")
    await outbox(host, "retry", str(numbers[one]))
    await rename(teacher, one, "4")
    await outbox(host, "retry", "--all")
    assert await names(topics, one, 4) == ["1", "2", "3", "4"]
    assert await names(topics, two, 2) == ["1", "2"]
    await until("the health to be good", lambda: is_status(http, "healthy"))
    assert (await outbox(host, "list"))[0] == "Nothing is set aside."


@pytest.mark.timeout(240)
async def test_a_dropped_message_lets_the_rest_of_its_key_go(
    host: Host, teacher: Teacher, topics: Topics, servers: str
) -> None:
    class_id = await teacher.new_class()

    async def both_are_held() -> bool:
        return (await behind(host)).get(class_id) == 1

    async with refusing(servers, CLASS_UPDATED):
        await rename(teacher, class_id, "1", "2")
        await until("both to be held", both_are_held)
        [message] = [m for m in await outbox(host, "list", "--json") if m["key"] == class_id]
    environ = host.command_environ()
    done = await call("outbox", "drop", message["event_id"], "--yes", environ=environ)
    assert (done.code, done.out) == (0, "1 message dropped, 1 message behind goes on.\n")
    assert await names(topics, class_id, 1) == ["2"]
    assert class_id not in await behind(host)


async def test_a_batch_of_too_many_essays_is_dead_lettered_and_the_stream_goes_on(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    assert host.stack.broker is not None
    class_id = await teacher.new_class()
    large = suggest(class_id, *[[]] * 10_000)
    servers = host.stack.broker.bootstrap_servers
    async with kafka_producer(servers, max_request_size=MAX_MESSAGE_BYTES) as producer:
        await producer.send_and_wait(SUGGESTIONS, large.value, key=large.batch_id.encode())
    behind_it = suggest(class_id, [])
    await topics.suggest(behind_it, key=large.batch_id)
    await teacher.stored(behind_it.batch_id)
    (letter,) = await topics.expect(DEAD_SUGGESTIONS, large.batch_id)
    assert letter.header("dlt-reason") == "batch_too_large"
    assert (await teacher.batch(large.batch_id)).status == 404
