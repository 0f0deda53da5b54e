"""Commands that create students, from sending them until their events are on Kafka."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import uvloop

from bench.database import await_empty_outbox
from bench.kafka import TAIL_MS, Keyed, producing, send_all
from devstack.http_client import ask
from devstack.rig.database import connected
from devstack.rig.envelopes import envelope
from devstack.rig.kafka_clients import tail
from devstack.rig.waiting import until
from rules import topics
from rules.ids import new_id

TEACHERS: Final = 40
POLL_SECONDS: Final = 0.02
FINISHED_SECONDS: Final = 120.0

_CLASSES_SQL: Final = """
insert into classes (id, owner_id, name, course_code)
select id, owner_id, 'Importklass', 'SV1' from unnest($1::uuid[], $2::text[]) as t (id, owner_id)
on conflict do nothing
"""


@dataclass(frozen=True)
class CommandLoad:
    """The commands to send, and the topic of their events."""

    bootstrap_servers: str
    topic: str
    events_topic: str
    dsn: str
    commands: int
    students: int
    """In each roster; 0: each command creates one student."""

    @property
    def made(self) -> int:
        """The number of students created."""
        return self.commands * (self.students or 1)


def carry_out(load: CommandLoad) -> float:
    """Send commands; return the seconds until their events can be read and no outbox row waits."""
    return uvloop.run(_carry_out(load))


def discard(load: CommandLoad, port: int) -> float:
    """Send commands to an agent that discards them; return the seconds until it has read all."""
    return uvloop.run(_discard(load, port))


def student_create(number: int, student_id: UUID) -> Keyed:
    """Return key and value of a command that creates a student in a teacher's class."""
    teacher = number % TEACHERS
    members = {"command": "student.create", **_student(student_id), "class_ids": [_class(teacher)]}
    return _command(teacher, members)


def roster_register(number: int, student_ids: Iterable[UUID]) -> Keyed:
    """Return key and value of a command that registers the students of a teacher's class."""
    teacher = number % TEACHERS
    rows = [_student(student_id) for student_id in student_ids]
    members = {"command": "roster.register", "class_id": _class(teacher), "students": rows}
    return _command(teacher, members)


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Create a class for each teacher."""
    classes = [_class(n) for n in range(TEACHERS)]
    owners = [_owner(n) for n in range(TEACHERS)]
    await connection.execute(_CLASSES_SQL, classes, owners)


async def _carry_out(load: CommandLoad) -> float:
    commands, students = _commands(load)
    tailing = tail(load.bootstrap_servers, load.events_topic, wait_ms=TAIL_MS)
    async with connected(load.dsn) as connection, tailing as events:
        await prepare(connection)
        began = await _send(load, commands)
        async with asyncio.timeout(FINISHED_SECONDS):
            # By key: the embedded broker delivers some records twice, and some earlier ones.
            while students:
                for records in (await events.getmany(timeout_ms=1000)).values():
                    students.difference_update(record.key for record in records)
        await await_empty_outbox(
            connection, pause_seconds=POLL_SECONDS, limit_seconds=FINISHED_SECONDS
        )
        return time.perf_counter() - began


async def _discard(load: CommandLoad, port: int) -> float:
    commands, _ = _commands(load)
    before = _discarded(port)

    async def all_discarded() -> bool:
        return _discarded(port) - before >= len(commands)

    began = await _send(load, commands)
    await until(
        "all commands to be discarded",
        all_discarded,
        pause_seconds=POLL_SECONDS,
        limit_seconds=FINISHED_SECONDS,
    )
    return time.perf_counter() - began


def _discarded(port: int) -> int:
    return int(ask(port, "/discarded").body)


async def _send(load: CommandLoad, commands: list[Keyed]) -> float:
    """Send everything; return the time of the first."""
    async with producing(load.bootstrap_servers, load.topic) as producer:
        began = time.perf_counter()
        await send_all(producer, load.topic, commands)
        return began


def _commands(load: CommandLoad) -> tuple[list[Keyed], set[bytes]]:
    """Return commands with their keys, and the keys of the events of the created students."""
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


def _command(teacher: int, members: dict[str, Any]) -> Keyed:
    owner = _owner(teacher)
    message = envelope(topics.COMMANDS, {"user_id": owner, **members}, "school_import")
    # new_id returns a subclass of UUID.
    return owner.encode(), orjson.dumps(message, default=str)
