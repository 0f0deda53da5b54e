"""Dependencies that go away and come back, while nobody restarts anything."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any, Final

import pytest

from devstack.process import Server
from devstack.rig.database import Database
from devstack.rig.http import Http, Reply, Teacher, yes
from devstack.rig.kafka import (
    CLASS_CREATED,
    CLASS_UPDATED,
    CONFIRMED,
    DEAD_SUGGESTIONS,
    NOTIFICATIONS,
    Message,
    Topics,
)
from devstack.rig.outages import Fault, frozen, killed, stopped
from devstack.rig.redis import listening
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Suggested, suggest
from devstack.rig.waiting import until
from devstack.valkey import EmbeddedValkey

#: How long PostgreSQL and the broker are away: longer than sessions and deadlines last.
AWAY_SECONDS: Final = 20.0
ROUNDS: Final = 8
BROKER_FAULTS: Final[dict[str, Sequence[Fault]]] = {
    # This one keeps everything in memory, so that a stop would be more than an outage.
    "embedded": [frozen],
    "apache": [frozen, stopped, killed],
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def postgres(host: Host) -> Server:
    assert host.stack.postgres is not None
    return host.stack.postgres


@pytest.fixture
def broker(host: Host) -> Server:
    assert host.stack.broker is not None
    return host.stack.broker


@pytest.fixture
def valkey(host: Host) -> EmbeddedValkey:
    assert host.stack.valkey is not None
    return host.stack.valkey


@pytest.mark.parametrize("fault", [stopped, frozen])
async def test_while_postgresql_is_away_requests_are_refused_and_suggestions_wait(
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
    postgres: Server,
    fault: Fault,
) -> None:
    process = service.pid
    roster = await teacher.new_roster(1)
    (student,) = roster.student_ids
    before = suggest(roster.class_id, [(student, 0.9)])
    await topics.suggest(before)
    await teacher.stored(before.batch_id)
    sent: list[Suggested] = []

    async with fault(postgres):
        for _ in range(ROUNDS):
            sent.append(suggest(roster.class_id, [(student, 0.9)]))
            await topics.suggest(sent[-1], key=teacher.id)
            _, *replies = await asyncio.gather(
                asyncio.sleep(AWAY_SECONDS / ROUNDS),
                teacher.send("POST", "/v1/classes", {"name": "Spöke", "course_codes": ["SV1"]}),
                teacher.send("GET", f"/v1/classes/{roster.class_id}"),
                teacher.batch(before.batch_id),
                teacher.confirm(before.batch_id, yes(*before.essay_ids)),
            )
            for reply in replies:
                assert_unavailable(reply)
        status, body = await teacher.http.health("/readyz")
        assert (status, body["dependencies"]["database"] == "ok") == (503, False)
        status, body = await teacher.http.health("/healthz")
        assert (status, body["dependencies"]["database"] == "ok") == (503, False)
        assert (await teacher.http.health("/livez"))[0] == 200

    for batch in sent:
        await teacher.stored(batch.batch_id)
    await answers(teacher.http, "/readyz", 200)
    assert (await teacher.confirm(before.batch_id, yes(*before.essay_ids))).status == 200
    await topics.expect(CONFIRMED, before.batch_id)
    await topics.settle()
    told = [m.data for m in topics.now(NOTIFICATIONS, teacher.id)]
    order = [m["batch_id"] for m in told if m["notification_type"] == "student_matches_suggested"]
    assert list(dict.fromkeys(order)) == [batch.batch_id for batch in [before, *sent]]
    assert topics.now(DEAD_SUGGESTIONS, teacher.id) == []
    # What was answered 503 may have happened: then it is whole.
    for class_id in await database.column("select id from classes where owner_id = $1", teacher.id):
        assert len({m.event_id for m in topics.now(CLASS_CREATED, str(class_id))}) == 1
    assert len(topics.now(CONFIRMED, before.batch_id)) == 1
    assert service.pid == process


@pytest.mark.parametrize("fault", BROKER_FAULTS.get(os.environ.get("BROKER") or "embedded", []))
async def test_while_kafka_is_away_requests_are_answered_and_their_events_follow_in_order(
    service: ServiceProcess, teacher: Teacher, topics: Topics, broker: Server, fault: Fault
) -> None:
    process = service.pid
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id)
    made: list[str] = []
    names: list[str] = []

    async with fault(broker):
        for number in range(ROUNDS):
            made.append(await teacher.new_class())
            for step in range(2):
                names.append(f"Klass {number}.{step}")
                body = {"name": names[-1]}
                await teacher.done("PUT", f"/v1/classes/{roster.class_id}", body)
            await asyncio.sleep(AWAY_SECONDS / ROUNDS)
        assert (await teacher.confirm(batch.batch_id, yes(*batch.essay_ids))).status == 200
        health = await answers(teacher.http, "/healthz", 503)
        assert health["dependencies"]["kafka"] != "ok"
        assert health["dependencies"]["database"] == "ok"
        for path in ("/readyz", "/livez"):
            assert (await teacher.http.health(path))[0] == 200

    later = [suggest(roster.class_id, []) for _ in range(3)]
    for late in later:
        await topics.suggest(late, key=teacher.id)
    for late in later:
        await teacher.stored(late.batch_id)
    await topics.settle()
    updates = topics.now(CLASS_UPDATED, roster.class_id)
    assert [m.data["class_designation"] for m in firsts(updates)] == names
    for class_id in made:
        assert len(firsts(topics.now(CLASS_CREATED, class_id))) == 1
    assert len(firsts(topics.now(CONFIRMED, batch.batch_id))) == 1
    notified = firsts(topics.now(NOTIFICATIONS, teacher.id))
    kinds = [m.data["notification_type"] for m in notified]
    assert kinds.count("class_created") == 1 + len(made)
    health = await answers(teacher.http, "/healthz", 200)
    assert health["dependencies"]["kafka"] == "ok"
    assert service.pid == process


@pytest.mark.parametrize("fault", [stopped, frozen])
async def test_while_redis_is_away_nobody_notices_and_afterwards_messages_flow_again(
    service: ServiceProcess, teacher: Teacher, topics: Topics, valkey: EmbeddedValkey, fault: Fault
) -> None:
    process = service.pid
    roster = await teacher.new_roster(1)
    batches = [suggest(roster.class_id, [(roster.student_ids[0], 0.9)]) for _ in range(5)]

    async with fault(valkey):
        for batch in batches:
            await topics.suggest(batch)
            class_id = await teacher.new_class()
            await teacher.stored(batch.batch_id)
            reply = await teacher.confirm(batch.batch_id, yes(*batch.essay_ids))
            assert reply.json["status"] == "confirmed"
            await topics.expect(CLASS_CREATED, class_id)
            await topics.expect(CONFIRMED, batch.batch_id)
        await redis_is(teacher.http, up=False)
        for path in ("/readyz", "/livez", "/healthz"):
            assert (await teacher.http.health(path))[0] == 200

    await redis_is(teacher.http, up=True)
    async with listening(valkey.url, teacher.id) as messages:
        await teacher.new_class("Nionde A")
        (message,) = await messages.expect("class_created")
    assert message["data"]["class_designation"] == "Nionde A"
    assert service.pid == process


@pytest.mark.parametrize("away", ["postgres", "broker"])
async def test_a_worker_started_before_its_dependencies_waits_for_them(
    host: Host, service: ServiceProcess, teacher: Teacher, away: str
) -> None:
    server = host.server(away)
    if server is host.stack.broker and not host.stack.broker.keeps_data:
        pytest.skip("keeps everything in memory: a stop would be more than an outage")
    await asyncio.to_thread(service.end)
    seen = len(service.log)

    async def waits() -> bool:
        told = service.log[seen:]
        return "database away" in told or "waiting to start" in told

    async with asyncio.TaskGroup() as starting, stopped(server):
        start = starting.create_task(asyncio.to_thread(service.start))
        await until("a worker that waits", waits)
        assert not start.done()
    await teacher.new_class()


def assert_unavailable(reply: Reply) -> None:
    """Check that a request was refused, and only for now."""
    assert (reply.status, reply.json["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(reply.headers["Retry-After"]) > 0
    assert reply.headers["Content-Type"] == "application/problem+json"


def firsts(messages: Sequence[Message]) -> list[Message]:
    """Return each event as it came first; a repeated one changes nothing for its readers."""
    seen: dict[str, Message] = {}
    for message in messages:
        seen.setdefault(message.event_id, message)
    return list(seen.values())


async def answers(http: Http, path: str, status: int) -> dict[str, Any]:
    """Wait until an operations path answers with a status; return the body."""
    seen: dict[str, Any] = {}

    async def look() -> bool:
        found, body = await http.health(path)
        seen.update(body)
        return found == status

    await until(f"{status} from {path}", look)
    return seen


async def redis_is(http: Http, *, up: bool) -> None:
    """Wait until the service knows how Redis is."""

    async def look() -> bool:
        _, body = await http.health("/healthz")
        return bool((body["dependencies"]["redis"] == "ok") == up)

    await until(f"a service that knows whether Redis is up ({up})", look)
