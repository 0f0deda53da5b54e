"""Deadlines follow PostgreSQL's clock, and stay what they were when they were set."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from devstack.rig import shifted_clock
from devstack.rig.database import Database
from devstack.rig.http import Http
from devstack.rig.kafka import CONFIRMED, PARTITIONS, Topics
from devstack.rig.kafka_clients import kafka_consumer, kafka_producer
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until
from tables.names import changelog_topic

TIMEOUT_SECONDS: Final = 3
BATCHES: Final = 10
CHANGELOG: Final = changelog_topic("class-management-service")
#: Beyond an hour Kafka refuses what comes from the future, where it goes by the sender's clock;
#: what is older than its topic keeps is deleted at once.
SHIFTS: Final = {
    "an hour ahead": timedelta(hours=1),
    "an hour behind": timedelta(hours=-1),
    "two hours ahead": timedelta(hours=2),
    "a month behind": timedelta(days=-30),
}
#: Longer ago than the topics of events keep messages.
LONG_AGO: Final = timedelta(days=20)
CONTROL: Final = "control-of-retention"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"TIMEOUT_HOURS": str(TIMEOUT_SECONDS / 3600)}


@pytest.fixture(params=list(SHIFTS.values()), ids=list(SHIFTS))
def shifted(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    host: Host,
    service: ServiceProcess,
    topics: Topics,
    settings: Mapping[str, str],
) -> Iterator[ServiceProcess]:
    """Have the only worker be one whose clock is wrong."""
    assert topics is not None  # set up while the other worker runs
    service.end()
    folder = Path(next(iter(shifted_clock.__path__)))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("CLOCK_SHIFT_SECONDS", str(request.param.total_seconds()))
    worker = host.another(settings)
    try:
        yield worker
    finally:
        worker.stop()


@pytest.fixture
async def control(host: Host) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Return what waits until Kafka has looked everywhere for messages that are too old."""
    broker = host.stack.broker
    assert broker is not None
    if not broker.keeps_data:
        pytest.skip("the embedded broker deletes nothing, and keeps the sender's timestamps")
    place = TopicPartition(CONTROL, 0)
    sent_at = round((time.time() - LONG_AGO.total_seconds()) * 1000)
    producing, consuming = (
        kafka_producer(broker.bootstrap_servers, acks="all"),
        kafka_consumer(broker.bootstrap_servers),
    )
    async with producing as producer, consuming as consumer:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        await admin.create_topics([NewTopic(CONTROL, 1, 1)])
        await admin.close()
        consumer.assign([place])

        async def looked() -> None:
            for _ in range(2):  # the first may be found before others are looked at
                sent = await producer.send_and_wait(
                    CONTROL, b"old", partition=0, timestamp_ms=sent_at
                )

                async def gone(offset: int = sent.offset) -> bool:
                    return bool((await consumer.beginning_offsets([place]))[place] > offset)

                await until("an old message to be deleted", gone)

        yield looked


async def test_a_worker_whose_clock_is_wrong_decides_in_time(
    shifted: ServiceProcess,
    http: Http,
    topics: Topics,
    database: Database,
    request: pytest.FixtureRequest,
) -> None:
    teacher = Http(http.session, shifted.port).teacher()
    roster = await teacher.new_roster(1)
    batches = [suggest(roster.class_id, [(roster.student_ids[0], 0.9)]) for _ in range(BATCHES)]
    for batch in batches:
        await topics.suggest(batch)
    for batch in batches:
        event = await topics.expect_one(CONFIRMED, batch.batch_id)
        assert event.data["timeout_triggered"] is True
        assert await database.decided_early(batch.batch_id) == []
    lines = shifted.logged("decided by the clock")
    # On a busy machine the net under the timers may come first to some, but not to all of them.
    assert "timer" in {line["found_by"] for line in lines}
    wrong = datetime.fromisoformat(lines[-1]["timestamp"]) - datetime.now(UTC)
    shift = request.node.callspec.params["shifted"]
    assert abs(wrong - shift) < abs(shift) / 2, "the clock is not wrong at all"


async def test_events_of_a_worker_whose_clock_is_wrong_are_taken_and_kept(
    control: Callable[[], Awaitable[None]],  # first: what cannot be tried needs no worker
    shifted: ServiceProcess,
    host: Host,
    http: Http,
    topics: Topics,
    database: Database,
) -> None:
    teacher = Http(http.session, shifted.port).teacher()
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(batch)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    await database.outbox_drained()
    await control()
    assert host.stack.broker is not None
    # Of every topic that the worker has written to, the first message is still there.
    places = [TopicPartition(CHANGELOG, p) for p in range(PARTITIONS)]
    places += [TopicPartition(message.topic, message.partition) for message in topics.published()]
    async with kafka_consumer(host.stack.broker.bootstrap_servers) as consumer:
        assert set((await consumer.beginning_offsets(places)).values()) == {0}
        place = TopicPartition(CONFIRMED, event.partition)
        consumer.assign([place])
        consumer.seek(place, event.offset)
        record = await consumer.getone()
    assert abs(record.timestamp / 1000 - time.time()) < timedelta(hours=1).total_seconds() / 2
    assert shifted.logged("events wait in the outbox") == []


async def test_another_timeout_holds_for_new_associations_only(
    host: Host, service: ServiceProcess, http: Http, topics: Topics
) -> None:
    assert service.pid is not None
    host.service({"TIMEOUT_HOURS": "5"})
    teacher = http.teacher()
    class_id = await teacher.new_class()
    old, new = suggest(class_id, []), suggest(class_id, [])
    await topics.suggest(old)
    (before,) = await teacher.stored(old.batch_id)

    host.service({"TIMEOUT_HOURS": "1"})
    await topics.suggest(new)
    (after,) = await teacher.stored(new.batch_id)
    (still,) = await teacher.stored(old.batch_id)
    assert still["confirm_by"] == before["confirm_by"]
    for found, hours in ((before, 5), (after, 1)):
        times = [datetime.fromisoformat(found[name]) for name in ("created_at", "confirm_by")]
        assert times[1] - times[0] == timedelta(hours=hours)

    async def entry() -> object:
        reply = await http.internal(f"/internal/v1/tables/pending-associations/{old.batch_id}")
        return reply.status == 200 and reply.json["confirm_by"]

    assert await until("the entry of the old batch", entry) == before["confirm_by"]
