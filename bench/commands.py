"""Commands that make students, as another service writes them, until their events are on Kafka."""

import asyncio
import http.client
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from bench.arrivals import consumer_at_end
from bench.polling import until
from devstack.ports import LOOPBACK
from rules import topics
from rules.ids import new_id

TEACHERS: Final = 40
POLL_SECONDS: Final = 0.02
FINISHED_SECONDS: Final = 120.0
LARGEST_MESSAGE: Final = 8 * 1024 * 1024

_CLASSES_SQL: Final = """
insert into classes (id, owner_id, name, course_code)
select id, owner_id, 'Importklass', 'SV1' from unnest($1::uuid[], $2::text[]) as t (id, owner_id)
on conflict do nothing
"""
_WAITING_SQL: Final = "select exists (select from outbox)"


@dataclass(frozen=True)
class CommandLoad:
    """What to send, and where its events arrive."""

    bootstrap_servers: str
    topic: str
    events_topic: str
    dsn: str
    commands: int
    students: int
    """Of each roster; 0: each command makes one student."""

    @property
    def made(self) -> int:
        """How many students it makes."""
        return self.commands * (self.students or 1)


def carry_out(load: CommandLoad) -> float:
    """Send commands; return the seconds until their events can be read and no outbox row waits."""
    return uvloop.run(_carry_out(load))


def drop(load: CommandLoad, port: int) -> float:
    """Send commands to an agent that drops them; return the seconds until it has taken all."""
    return uvloop.run(_drop(load, port))


def student_create(number: int, student_id: UUID) -> tuple[bytes, bytes]:
    """Return key and value of a command that makes a student in a teacher's class."""
    teacher = number % TEACHERS
    members = {"command": "student.create", **_student(student_id), "class_ids": [_class(teacher)]}
    return _command(teacher, members)


def roster_register(number: int, student_ids: Iterable[UUID]) -> tuple[bytes, bytes]:
    """Return key and value of a command that makes the students of a teacher's class."""
    teacher = number % TEACHERS
    rows = [_student(student_id) for student_id in student_ids]
    members = {"command": "roster.register", "class_id": _class(teacher), "students": rows}
    return _command(teacher, members)


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Give each teacher a class."""
    classes = [_class(n) for n in range(TEACHERS)]
    owners = [_owner(n) for n in range(TEACHERS)]
    await connection.execute(_CLASSES_SQL, classes, owners)


def new_producer(bootstrap_servers: str, linger_ms: int = 2) -> AIOKafkaProducer:
    """Return a producer that takes whole rosters; it is not started."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        linger_ms=linger_ms,
        max_batch_size=256 * 1024,
        max_request_size=LARGEST_MESSAGE,
    )


async def _carry_out(load: CommandLoad) -> float:
    commands, students = _commands(load)
    connection = await asyncpg.connect(load.dsn)
    events = await consumer_at_end(load.bootstrap_servers, load.events_topic)

    async def nothing_waits() -> bool:
        return not await connection.fetchval(_WAITING_SQL)

    try:
        await prepare(connection)
        began = await _send(load, commands)
        async with asyncio.timeout(FINISHED_SECONDS):
            # By their keys: the embedded broker brings some records twice, and some of before.
            while students:
                for records in (await events.getmany(timeout_ms=1000)).values():
                    students.difference_update(record.key for record in records)
        await until(nothing_waits, pause_seconds=POLL_SECONDS, limit_seconds=FINISHED_SECONDS)
        return time.perf_counter() - began
    finally:
        await events.stop()
        await connection.close()


async def _drop(load: CommandLoad, port: int) -> float:
    commands, _ = _commands(load)
    before = _taken(port)

    async def all_taken() -> bool:
        return _taken(port) - before >= len(commands)

    began = await _send(load, commands)
    await until(all_taken, pause_seconds=POLL_SECONDS, limit_seconds=FINISHED_SECONDS)
    return time.perf_counter() - began


def _taken(port: int) -> int:
    link = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        link.request("GET", "/taken")
        return int(link.getresponse().read())
    finally:
        link.close()


async def _send(load: CommandLoad, commands: list[tuple[bytes, bytes]]) -> float:
    """Send everything; return when the first was sent."""
    producer = new_producer(load.bootstrap_servers)
    await producer.start()
    try:
        await producer.partitions_for(load.topic)
        began = time.perf_counter()
        sent = [await producer.send(load.topic, value, key=key) for key, value in commands]
        await asyncio.gather(*sent)
        return began
    finally:
        await producer.stop()


def _commands(load: CommandLoad) -> tuple[list[tuple[bytes, bytes]], set[bytes]]:
    """Return commands with their keys, and the keys of the events of the students they make."""
    ids = [new_id() for _ in range(load.made)]
    if load.students:
        rosters = [ids[n : n + load.students] for n in range(0, len(ids), load.students)]
        commands = [roster_register(number, roster) for number, roster in enumerate(rosters)]
    else:
        commands = [student_create(number, one) for number, one in enumerate(ids)]
    return commands, {str(one).encode() for one in ids}


def _owner(teacher: int) -> str:
    return f"bench-teacher-{teacher}"


def _class(teacher: int) -> UUID:
    return UUID(f"dddddddd-0000-4000-8000-{teacher:012x}")


def _student(student_id: UUID) -> dict[str, Any]:
    return {
        "student_id": student_id,
        "person_name": {"first_name": "Đorđe", "last_name": "Åkerblom"},
        "email": f"elev.{student_id.hex}@skola.example",
    }


def _command(teacher: int, members: dict[str, Any]) -> tuple[bytes, bytes]:
    owner = _owner(teacher)
    envelope = {
        "event_id": uuid4(),
        "event_type": topics.COMMANDS,
        "event_timestamp": datetime.now(UTC),
        "source_service": "school_import",
        "schema_version": 1,
        "correlation_id": uuid4(),
        "data_schema_uri": None,
        "data": {"user_id": owner, **members},
        "metadata": None,
    }
    # new_id's UUIDs are a class of their own.
    return owner.encode(), orjson.dumps(envelope, default=str)
