"""What anybody writes into the service's own topics costs one entry, and stops nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from rocksdict import Options, Rdict

from agents.kafka.partitioner import partitioning
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CONFIRMED, GROUP, PARTITIONS, TIMERS, Topics
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Json, suggest
from devstack.rig.waiting import until
from tables.codec import KEY_PREFIX, TimerEntry, instant_bytes, key_of, pack
from tables.names import PENDING_ASSOCIATIONS, changelog_topic

TABLES: Final = "/internal/v1/tables"
PENDING: Final = f"{TABLES}/{PENDING_ASSOCIATIONS}"
DRIFT: Final = f"{PENDING}/drift"

NOW: Final = datetime.now(UTC)
END_OF_TIME: Final = "9999-12-31T23:59:59-23:59"
#: The last instant that the table's eight bytes can hold: in the year 586,512.
ENDLESS: Final = b"\xff" * 8

placed: Final = partitioning(PARTITIONS).of


@pytest.fixture
def host(own_host: Host) -> Host:
    """Have a table that nobody else has filled."""
    return own_host


@pytest.fixture
def settings() -> Mapping[str, str]:
    return {"RECONCILE_INTERVAL_SECONDS": "1", "TIMEOUT_HOURS": str(6 / 3600)}


@pytest.fixture
async def producer(host: Host, service: ServiceProcess) -> AsyncIterator[AIOKafkaProducer]:
    assert service.pid is not None
    assert host.stack.broker is not None
    async with kafka_producer(host.stack.broker.bootstrap_servers) as producer:
        yield producer


def armed(batch_id: str) -> Json:
    soon = (NOW + timedelta(seconds=1)).isoformat()
    return {
        "event": "armed",
        "batch_id": batch_id,
        "class_id": str(uuid4()),
        "pending_count": 1,
        "confirm_by": soon,
        "armed_at": soon,
    }


def enveloped(data: object) -> bytes:
    return orjson.dumps({"event_id": str(uuid4()), "data": data})


def poison() -> list[tuple[bytes | None, bytes | None]]:
    """Return keys and values that no timer has."""
    batch = str(uuid4())
    key = batch.encode()
    wrong: list[dict[str, object]] = [
        {"confirm_by": END_OF_TIME},
        {"armed_at": END_OF_TIME},
        {"confirm_by": "0001-01-01T00:00:00+23:59"},
        {"confirm_by": None},
        {"class_id": "a class"},
        {"pending_count": -1},
        {"pending_count": 2**32},
        {"pending_count": "many"},
        {"event": "cleared", "batch_id": None},
    ]
    values = [enveloped(armed(batch) | changes) for changes in wrong]
    texts = [b"", b"\xff\xfe", b"[" * 100_000, b'{"data": ' + b"9" * 100_000 + b"}"]
    of_another = enveloped(armed(batch))
    return [
        *((key, value) for value in [*values, *texts, None]),
        (str(uuid4()).encode(), of_another),
        (None, of_another),
        (b"\xff", of_another),
    ]


def strays(partition: int) -> list[tuple[bytes, bytes]]:
    """Return rows that are no entries of a partition of the table."""
    batches = (uuid4() for _ in range(1000))
    here = next(i for i in batches if placed(i) == partition)
    elsewhere = next(i for i in batches if placed(i) != partition)
    entry = TimerEntry(here, uuid4(), 1, NOW, NOW)
    right = pack(entry, PARTITIONS)
    return [
        (key_of(here), right.replace(instant_bytes(NOW), ENDLESS)),
        (key_of(here), right[:3] + ENDLESS + right[11:]),
        (key_of(elsewhere), pack(TimerEntry(elsewhere, uuid4(), 1, NOW, NOW), PARTITIONS)),
        (KEY_PREFIX, right),
        (KEY_PREFIX + b"\xff", b""),
        (key_of(here) + b"more", right),
        (key_of(UUID(int=0)), b"\x02"),
        (key_of(UUID(int=2**128 - 1)), b"{}"),
    ]


async def test_poison_in_the_timers_topic_is_dead_lettered_and_the_next_timer_runs_out(
    teacher: Teacher, topics: Topics, producer: AIOKafkaProducer
) -> None:
    sent = poison()
    for key, value in sent:
        await producer.send_and_wait(TIMERS, value, key=key)
    lost = next(i for i in (uuid4() for _ in range(1000)) if placed(i) != 3)
    misplaced = enveloped(armed(str(lost)))
    await producer.send_and_wait(TIMERS, misplaced, key=str(lost).encode(), partition=3)
    await a_timer_runs_out(teacher, topics)
    await everything_answers(teacher.http)
    await until("all dead letters", lambda: dead_letters(teacher.http, len(sent) + 1))


async def test_poison_in_the_changelog_and_in_the_files_is_found_and_removed(
    host: Host,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    producer: AIOKafkaProducer,
) -> None:
    await a_timer_runs_out(teacher, topics)
    await asyncio.to_thread(service.end)
    for partition in range(PARTITIONS):
        for key, value in strays(partition):
            await producer.send_and_wait(
                changelog_topic(GROUP), value, key=key, partition=partition
            )
    written = sum(write_into(path) for path in host.stack.data_dir.rglob("*.db"))
    assert written
    await asyncio.to_thread(service.start)
    await a_timer_runs_out(teacher, topics)
    await everything_answers(teacher.http)
    assert service.logged("rows removed from the table")

    await asyncio.to_thread(service.again)
    await a_timer_runs_out(teacher, topics)
    await everything_answers(teacher.http)


def write_into(path: Path) -> int:
    """Write rows into the files of a partition, as an older version may have."""
    rows = strays(int(path.stem.rpartition("-")[2]))
    database = Rdict(str(path), options=Options(raw_mode=True))
    for key, value in rows:
        database[key] = value
    database.close()
    return len(rows)


async def a_timer_runs_out(teacher: Teacher, topics: Topics) -> None:
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(batch)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["timeout_triggered"] is True


async def everything_answers(http: Http) -> None:
    """Wait until the inspection is complete and shows nothing that is not there."""

    async def clean() -> bool:
        page = await http.internal_json(PENDING)
        (table,) = (await http.internal_json(TABLES))["tables"]
        complete = page["complete"] and table["complete"]
        return bool(complete) and (page["entries"], table["entries"]) == ([], 0)

    await until("an empty table", clean)
    asked = datetime.now(UTC)

    async def compared() -> bool:
        drift = await http.internal_json(DRIFT)
        ends = [w["finished_at"] for w in drift["workers"] if w["finished_at"]]
        return bool(drift["complete"]) and any(datetime.fromisoformat(at) > asked for at in ends)

    await until("a comparison", compared)


async def dead_letters(http: Http, count: int) -> bool:
    """Return whether the timers agent has dead-lettered as many messages."""
    text = (await http.send("GET", "/metrics")).body.decode()
    name = 'class_management_messages_total{agent="timers",outcome="dead_lettered"} '
    found = [line.removeprefix(name) for line in text.splitlines() if line.startswith(name)]
    return [float(one) for one in found] == [float(count)]
