"""Commands that create students, from sending them until their events are on Kafka."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import uvloop

from bench.database import Connection, await_empty_outbox
from bench.kafka import TAIL_MS, Keyed, producing, send_all
from devstack.rig.database import connected
from devstack.rig.envelopes import envelope
from devstack.rig.kafka_clients import tail
from rules import topics
from rules.ids import new_id

TEACHERS: Final = 40
POLL_SECONDS: Final = 0.02
FINISHED_SECONDS: Final = 120.0

_CLASSES_SQL: Final = """
insert into classes (id, owner_id, name, course_code)
select id, owner_id, 'Importklass', 'SV1' from unnest($1::uuid[], $2::text[]) as t (id, owner_id)
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


class School:
    """Teachers with a class each. The classes are new: one takes 2,000 students and no more."""

    def __init__(self) -> None:
        self._classes = [uuid4() for _ in range(TEACHERS)]

    async def prepare(self, connection: Connection) -> None:
        """Store the classes."""
        owners = [_owner(n) for n in range(TEACHERS)]
        await connection.execute(_CLASSES_SQL, self._classes, owners)

    def student_create(self, number: int, student_id: UUID) -> Keyed:
        """Return key and value of a command that creates a student in a teacher's class."""
        teacher = number % TEACHERS
        joined = {"class_ids": [self._classes[teacher]]}
        return _command(teacher, {"command": "student.create", **_student(student_id), **joined})

    def roster_register(self, number: int, student_ids: Iterable[UUID]) -> Keyed:
        """Return key and value of a command that registers the students of a teacher's class."""
        teacher = number % TEACHERS
        rows = [_student(student_id) for student_id in student_ids]
        members = {"class_id": self._classes[teacher], "students": rows}
        return _command(teacher, {"command": "roster.register", **members})


async def _carry_out(load: CommandLoad) -> float:
    school = School()
    commands, students = _commands(load, school)
    tailing = tail(load.bootstrap_servers, load.events_topic, wait_ms=TAIL_MS)
    async with connected(load.dsn) as connection, tailing as events:
        await school.prepare(connection)
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


async def _send(load: CommandLoad, commands: list[Keyed]) -> float:
    """Send everything; return the time of the first."""
    async with producing(load.bootstrap_servers, load.topic) as producer:
        began = time.perf_counter()
        await send_all(producer, load.topic, commands)
        return began


def _commands(load: CommandLoad, school: School) -> tuple[list[Keyed], set[bytes]]:
    """Return commands with their keys, and the keys of the events of the created students."""
    ids = [new_id() for _ in range(load.made)]
    if load.students:
        rosters = [ids[n : n + load.students] for n in range(0, len(ids), load.students)]
        commands = [school.roster_register(number, roster) for number, roster in enumerate(rosters)]
    else:
        commands = [school.student_create(number, one) for number, one in enumerate(ids)]
    return commands, {str(one).encode() for one in ids}


def _owner(teacher: int) -> str:
    return f"bench-teacher-{teacher}"


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
