"""What happens to the topics while a worker runs, or before it starts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from agents.kafka import topics as kafka_topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import specs
from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import COMMANDS, GROUP, NOTIFICATIONS, PARTITIONS, TIMERS
from devstack.rig.kafka_clients import assign_from_start, kafka_consumer, kafka_producer, places_of
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, Suggested, suggest
from devstack.rig.waiting import until
from devstack.rig.workers import partitions_of
from devstack.stack import PREFIX
from tables.names import changelog_topic
from tests.support.command_line import Done, call

CHANGELOG: Final = changelog_topic(GROUP)
ALL: Final = [spec.name for spec in specs(PARTITIONS, CHANGELOG)]
MORE: Final = 12
PENDING: Final = "/internal/v1/tables/pending-associations"
MISSING: Final = "topics are missing"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def host(own_host: Host) -> Host:
    return own_host


@pytest.fixture
def settings() -> Mapping[str, str]:
    """Teachers have all the time in the world, and the reconciler comes when it has to."""
    return {"RECONCILE_INTERVAL_SECONDS": "3600"}


def servers(host: Host) -> str:
    assert host.stack.broker is not None
    return host.stack.broker.bootstrap_servers


def needs_growth(host: Host) -> None:
    assert host.stack.broker is not None
    if not host.stack.broker.keeps_data:
        pytest.skip("the embedded broker cannot give a topic more partitions")


@asynccontextmanager
async def admin(host: Host) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=servers(host))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def partitions(host: Host, *names: str) -> dict[str, int]:
    found = await kafka_topics.found(KafkaConfig(servers(host)), names)
    return {name: topic.partitions for name, topic in found.items()}


async def grow(host: Host, *names: str) -> None:
    """Give topics more partitions, as an operator does with Kafka's own tools."""
    async with admin(host) as client:
        await client.create_partitions({name: NewPartitions(MORE) for name in names})

    async def grown() -> bool:
        return await partitions(host, *names) == dict.fromkeys(names, MORE)

    await until(f"{names} to be larger", grown)


async def delete(host: Host, *names: str) -> None:
    async with admin(host) as client:
        await client.delete_topics(list(names))

    async def gone() -> bool:
        return not await partitions(host, *names)

    await until(f"{names} to be gone", gone)


async def make(host: Host, name: str, count: int = PARTITIONS) -> None:
    async with admin(host) as client:
        await client.create_topics([NewTopic(name, count, 1)])

    async def there() -> bool:
        return bool(await partitions(host, name))

    await until(f"{name} to be there", there)


async def command(host: Host, *arguments: str, **settings: str) -> Done:
    own = {PREFIX + name: value for name, value in settings.items()}
    return await call("topics", *arguments, environ={**host.command_environ(), **own})


async def send(
    host: Host, messages: Sequence[Suggested], places: Sequence[int | None] = (None,)
) -> None:
    """Send suggestions, each to the next of these partitions."""
    async with kafka_producer(servers(host), acks="all") as producer:
        for number, message in enumerate(messages):
            await producer.send_and_wait(
                TOPIC,
                message.value,
                key=message.batch_id.encode(),
                partition=places[number % len(places)],
            )


async def all_stored(teacher: Teacher, batches: Sequence[Suggested]) -> None:
    for batch in batches:
        await teacher.stored(batch.batch_id)


async def in_table(http: Http, batches: Sequence[Suggested]) -> list[int]:
    """Wait until each batch has an entry; return their partitions."""

    async def entries() -> list[int]:
        replies = [await http.internal(f"{PENDING}/{batch.batch_id}") for batch in batches]
        if {reply.status for reply in replies} != {200}:
            return []
        return [reply.json["partition"] for reply in replies]

    return await until("the entries of all batches", entries)


async def healthy(http: Http) -> None:
    async def well() -> bool:
        return (await http.health("/healthz"))[0] == 200

    seen: list[Any] = []

    async def look() -> bool:
        seen[:] = [await http.health("/healthz")]
        return await well()

    await until("a healthy worker", look, lambda: seen)


async def unhealthy(http: Http, path: str, check: str, *words: str) -> str:
    """Wait until a check says all of these words; return what it says."""
    seen: list[Any] = []

    async def look() -> str:
        status, body = await http.health(path)
        seen[:] = [status, body]
        told = str(body["checks"].get(check, ""))
        return told if status == 503 and all(word in told for word in words) else ""

    return await until(f"{check} of {path} to say {words}", look, lambda: seen)


async def new_batches(teacher: Teacher, count: int) -> list[Suggested]:
    class_id = await teacher.new_class()
    return [suggest(class_id, []) for _ in range(count)]


def ran_through(service: ServiceProcess) -> None:
    """Check that the worker has neither ended nor restarted any part of itself."""
    assert service.exit_code is None
    assert service.logged("loop failed and starts again") == []
    assert service.logged("dead letter") == []
    for word in ("Unrecognized partition", "PartitionsMismatch"):
        assert word not in service.log


async def test_new_partitions_of_suggestions_and_commands_are_read(
    host: Host, service: ServiceProcess, teacher: Teacher
) -> None:
    needs_growth(host)
    batches = await new_batches(teacher, 8)
    await grow(host, TOPIC, COMMANDS)
    await send(host, batches, range(PARTITIONS, MORE))
    await all_stored(teacher, batches)
    ran_through(service)


@pytest.mark.parametrize("more", [3, 0], ids=["with more messages than before", "with fewer"])
async def test_suggestions_are_read_on_where_their_topic_is_made_anew(
    host: Host, service: ServiceProcess, teacher: Teacher, more: int
) -> None:
    """Also where the new log soon goes beyond what was read of the old one."""
    before = await new_batches(teacher, 3)
    await send(host, before, [0])
    await all_stored(teacher, before)
    await delete(host, TOPIC)
    await make(host, TOPIC)
    after = await new_batches(teacher, 2 + more)
    await send(host, after, [0])
    await all_stored(teacher, after)
    ran_through(service)


async def test_a_worker_without_topics_says_so_and_goes_on_once_they_are_made(
    host: Host, service: ServiceProcess, http: Http, teacher: Teacher, database: Database
) -> None:
    assert host.stack.broker is not None
    if not host.stack.broker.keeps_data:
        pytest.skip("the embedded broker leaves a member without partitions after two rejoins")
    before = await new_batches(teacher, 2)
    await send(host, before)
    await in_table(http, before)
    await delete(host, *ALL)
    told = await unhealthy(http, "/healthz", "topics", "missing", TIMERS)
    assert "class-management topics create" in told
    [line] = service.logged(MISSING)
    assert set(line["topics"]) == set(ALL)

    assert (await command(host, "create")).code == 0
    await healthy(http)
    after = await new_batches(teacher, 2)
    await send(host, after)
    await all_stored(teacher, after)
    await in_table(http, [*before, *after])
    await database.outbox_drained()
    async with kafka_consumer(servers(host)) as consumer:
        assign_from_start(consumer, places_of([NOTIFICATIONS], PARTITIONS))
        assert await consumer.getone()
    assert len(service.logged(MISSING)) == 1
    assert len(service.logged("topics are back")) == 1
    ran_through(service)


async def test_a_changelog_that_is_lost_under_a_running_worker_is_made_anew(
    host: Host, service: ServiceProcess, http: Http, teacher: Teacher
) -> None:
    before = await new_batches(teacher, 3)
    await send(host, before)
    await in_table(http, before)
    async with admin(host) as client:
        await client.delete_topics([CHANGELOG])

    async def anew() -> bool:
        return bool(service.logged("the table's changelog was missing, made anew"))

    await until("a new changelog", anew)
    await healthy(http)
    after = await new_batches(teacher, 3)
    await send(host, after)
    await in_table(http, [*before, *after])
    ran_through(service)


async def ended(worker: ServiceProcess) -> int:
    """Wait until a worker ends by itself; return its exit code."""
    assert await asyncio.to_thread(worker.wait, 60)
    code = worker.exit_code
    assert code is not None
    return code


async def test_a_start_with_topics_of_the_timers_that_differ_stops_with_a_line(
    host: Host, service: ServiceProcess, http: Http, teacher: Teacher
) -> None:
    batches = await new_batches(teacher, 3)
    await send(host, batches)
    await in_table(http, batches)
    service.end()
    await delete(host, CHANGELOG)
    await make(host, CHANGELOG, 3)
    written = len(service.log)
    service.begin()
    assert await ended(service) == 2
    [line] = [line for line in service.log[written:].splitlines() if not line.startswith("{")]
    assert line.startswith("class-management: topic class-management.timers.v1 has 8 partitions")
    assert "has 3: `class-management topics create` gives both 8" in line

    needs_growth(host)
    assert (await command(host, "create")).code == 0
    await asyncio.to_thread(service.start)
    await in_table(http, batches)


async def test_timers_that_grow_alone_make_a_running_worker_unhealthy(
    host: Host, service: ServiceProcess, http: Http, teacher: Teacher
) -> None:
    needs_growth(host)
    before = await new_batches(teacher, 3)
    await send(host, before)
    await in_table(http, before)
    await grow(host, TIMERS)
    told = await unhealthy(http, "/healthz", "topics", TIMERS, CHANGELOG)
    assert "class-management topics create" in told
    assert (await http.health("/livez"))[0] == 200  # a restart alone does not help
    # Everything else goes on.
    after = await new_batches(teacher, 3)
    await send(host, after)
    await all_stored(teacher, after)
    ran_through(service)

    assert (await command(host, "create")).code == 0
    await unhealthy(http, "/livez", "table_partitions", str(MORE))
    await asyncio.to_thread(service.again)
    await healthy(http)
    await in_table(http, [*before, *after])


async def test_the_topics_count_holds_and_not_the_setting_s(
    host: Host, http: Http, teacher: Teacher
) -> None:
    service = host.service({"TOPIC_PARTITIONS": "5"})
    batches = await new_batches(teacher, 12)
    await send(host, batches)
    assert max(await in_table(http, batches)) >= 5
    assert await partitions_of(http) == PARTITIONS
    [line] = [
        line["found"]
        for line in service.logged("a topic is not as it should be")
        if "TOPIC_PARTITIONS" in line["found"]
    ]
    assert "8 partitions, not 5" in line
    await asyncio.to_thread(service.again)
    await in_table(http, batches)
    [*_, reconciled] = service.logged("reconciled")
    assert reconciled["mended"] == 0


async def test_more_partitions_the_way_the_runbook_says(
    host: Host, service: ServiceProcess, http: Http, teacher: Teacher, database: Database
) -> None:
    needs_growth(host)
    before = await new_batches(teacher, 20)
    await send(host, before)
    await in_table(http, before)
    service.end()
    done = await command(host, "create", "--consumed", TOPIC_PARTITIONS=str(MORE))
    assert done.code == 0
    assert await partitions(host, *ALL) == dict.fromkeys(ALL, MORE)
    grown = host.service({"TOPIC_PARTITIONS": str(MORE)})
    after = await new_batches(teacher, 20)
    await send(host, after)
    await all_stored(teacher, after)
    held = await in_table(http, [*before, *after])
    assert max(held) >= PARTITIONS
    for batch in before[:3]:
        await database.elapse(batch.batch_id)

    async def decided() -> bool:
        found = [await database.pending(batch.batch_id) for batch in before[:3]]
        return not any(found)

    await until("what is due to be decided", decided)
    assert grown.logged("tables have another layout, built anew") != []
    ran_through(grown)
