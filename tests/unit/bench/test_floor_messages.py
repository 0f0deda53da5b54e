"""The floors send what the service sends, as far as the members go."""

from typing import Any
from uuid import UUID, uuid4

import orjson

from bench.floors import students
from bench.floors.students import Command
from bench.packing import Message
from rules.commands import orders
from rules.commands.results import applied, result_message
from rules.events import roster
from rules.models import (
    Caller,
    ClassSummary,
    NewClass,
    NewStudent,
    OutboxMessage,
    PersonName,
    Trace,
)
from store.clock import utc_now

OWNER = 'teacher-"1"'
CLASS_ID, STUDENT_ID = uuid4(), uuid4()
CALLER = Caller(OWNER, Trace(uuid4()))


def shape(value: object) -> object:
    """Return the names and kinds of members, and their order."""
    if isinstance(value, dict):
        return [(name, shape(member)) for name, member in value.items()]
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value).__name__


def shapes(messages: list[Message] | list[OutboxMessage]) -> list[Any]:
    found = []
    for message in messages:
        value, headers = (
            (message.value, message.headers)
            if isinstance(message, OutboxMessage)
            else (message[2], message[3])
        )
        found.append((shape(orjson.loads(value or b"")), [name for name, _ in headers]))
    return found


def a_command(name: str) -> Command:
    student = {
        "student_id": str(STUDENT_ID),
        "person_name": {"first_name": 'Đor"đe', "last_name": "Åkerblom"},
        "email": "elev@skola.example",
    }
    return Command(str(uuid4()), name, str(uuid4()), OWNER, str(CLASS_ID), [student])


def test_of_a_student() -> None:
    name = PersonName('Đor"đe', "Åkerblom", 'Đor"đe Åkerblom')
    new = NewStudent(STUDENT_ID, name, "elev@skola.example", (CLASS_ID,))
    classes = [ClassSummary(CLASS_ID, OWNER, "Importklass", "SV1")]
    ours = roster.student_created(CALLER, new, classes, utc_now())
    assert shapes([*students.student_messages(a_command("student.create"), "t")]) == shapes(ours)


def test_of_a_class() -> None:
    ours = roster.class_created(CALLER, NewClass(CLASS_ID, 'Klass "1"', "SV1"), utc_now())
    row = (CLASS_ID, OWNER, 'Klass "1"', "SV1", uuid4())
    assert shapes(students.class_messages(row, "t")) == shapes(ours)


def test_the_result_of_a_command() -> None:
    *_, result = students.messages(a_command("student.create"), "t")
    command: Any = a_command("student.create")
    there = result_message(_command(UUID(command.event_id)), applied(STUDENT_ID), utc_now())
    assert shapes([result]) == shapes([there])


def _command(event_id: UUID) -> orders.Command:
    name = PersonName("Đorđe", "Åkerblom", "Đorđe Åkerblom")
    order = orders.StudentCreate(NewStudent(STUDENT_ID, name, None, (CLASS_ID,)))
    return orders.Command(event_id, orders.CommandName.STUDENT_CREATE, CALLER, order)
