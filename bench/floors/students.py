"""What a command or POST says, and what is published of it, in the service's own words.

Values are put together from templates: the quickest way to the same bytes, where nothing is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from uuid_utils import uuid7

from bench.packing import Message

_JSON: Final = ("content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that creates students in a class."""

    event_id: str
    name: str
    correlation_id: str
    owner: str
    class_id: str
    students: Sequence[dict[str, Any]]


def command(value: bytes) -> Command:
    """Read a command."""
    envelope = orjson.loads(value)
    data = envelope["data"]
    return Command(
        envelope["event_id"],
        data["command"],
        envelope["correlation_id"],
        data["user_id"],
        data.get("class_id") or data["class_ids"][0],
        data.get("students") or [data],
    )


def rows(of: Command) -> Iterator[tuple[Any, ...]]:
    """Return the columns of its students, in the order of `storing.STUDENTS`."""
    class_id, correlation_id = UUID(of.class_id), UUID(of.correlation_id)
    for student in of.students:
        name, email = student["person_name"], student["email"]
        first, last = name["first_name"], name["last_name"]
        yield (
            UUID(student["student_id"]),
            of.owner,
            first,
            last,
            f"{first} {last}",
            email,
            email.lower(),
            class_id,
            correlation_id,
        )


def messages(of: Command, topic: str) -> Iterator[Message]:
    """Return an event and a notification for each student, and the result of the command."""
    at = now()
    yield from student_messages(of, topic, at)
    ids = ",".join(f'"{student["student_id"]}"' for student in of.students)
    result = (
        f'{{"command_id":"{of.event_id}","command":"{of.name}","status":"applied",'
        f'"error_code":null,"detail":null,"student_id":null,"class_id":null,"errors":[],'
        f'"entity_ids":[{ids}],"timestamp":"{at}"}}'
    )
    yield message(f"{topic}.results", of.event_id.encode(), result, of.correlation_id, at)


def student_messages(of: Command, topic: str, at: str = "") -> Iterator[Message]:
    """Return an event and a notification for each student."""
    at = at or now()
    key, owner = of.owner.encode(), _text(of.owner)
    for student in of.students:
        created = _created(of, student, owner, at)
        yield message(topic, student["student_id"].encode(), created, of.correlation_id, at)
        added = _added(of, student, owner, at)
        yield message(f"{topic}.notified", key, added, of.correlation_id, at)


def _created(of: Command, student: dict[str, Any], owner: str, at: str) -> str:
    name = student["person_name"]
    return (
        f'{{"event":"student.created","student_id":"{student["student_id"]}",'
        f'"first_name":{_text(name["first_name"])},"last_name":{_text(name["last_name"])},'
        f'"student_email":{_text(student["email"])},"external_id":null,'
        f'"class_ids":["{of.class_id}"],"created_by_user_id":{owner},'
        f'"correlation_id":"{of.correlation_id}","timestamp":"{at}"}}'
    )


def _added(of: Command, student: dict[str, Any], owner: str, at: str) -> str:
    name = student["person_name"]
    whole = f"{name['first_name']} {name['last_name']}"
    return (
        f'{{"teacher_id":{owner},"notification_type":"student_added_to_class",'
        f'"category":"class_management","priority":"low",'
        f'"payload":{{"student_id":"{student["student_id"]}","student_name":{_text(whole)},'
        f'"class_id":"{of.class_id}","class_designation":"Importklass",'
        f'"message":{_text(f"{whole} was added to class Importklass.")}}},'
        f'"action_required":false,"deadline_timestamp":null,'
        f'"correlation_id":"{of.correlation_id}","batch_id":null,"class_id":"{of.class_id}",'
        f'"timestamp":"{at}"}}'
    )


def class_messages(row: Sequence[Any], topic: str) -> list[Message]:
    """Return the event and the notification of a class, of the row that is stored."""
    class_id, owner, name, course, correlation_id = map(str, row)
    at, told = now(), _text(f"Class {name} was created.")
    made = f'"class_id":"{class_id}","class_designation":{_text(name)},"course_codes":["{course}"]'
    event = (
        f'{{"event":"class.created",{made},"external_id":null,"user_id":{_text(owner)},'
        f'"correlation_id":"{correlation_id}","timestamp":"{at}"}}'
    )
    notification = (
        f'{{"teacher_id":{_text(owner)},"notification_type":"class_created",'
        f'"category":"class_management","priority":"standard","payload":{{{made},'
        f'"message":{told}}},"action_required":false,"deadline_timestamp":null,'
        f'"correlation_id":"{correlation_id}","batch_id":null,"class_id":"{class_id}",'
        f'"timestamp":"{at}"}}'
    )
    return [
        message(topic, class_id.encode(), event, correlation_id, at),
        message(f"{topic}.notified", owner.encode(), notification, correlation_id, at),
    ]


def now() -> str:
    """Return the present time as text."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(value: str) -> str:
    return orjson.dumps(value).decode()


def message(topic: str, key: bytes, data: str, correlation_id: str, at: str) -> Message:
    """Return a message with its envelope and headers."""
    event_id = str(uuid7())
    value = (
        f'{{"event_id":"{event_id}","event_type":"{topic}","event_timestamp":"{at}",'
        f'"source_service":"class_management_service","schema_version":1,'
        f'"correlation_id":"{correlation_id}","data_schema_uri":null,"data":{data},'
        f'"metadata":null}}'
    )
    headers = [
        ("event_id", event_id.encode()),
        ("event_type", topic.encode()),
        ("correlation_id", correlation_id.encode()),
        _JSON,
    ]
    return topic, key, value.encode(), headers
