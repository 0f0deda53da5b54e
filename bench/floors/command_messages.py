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

ENVELOPE: Final = (
    '{{"event_id":"{event_id}","event_type":"{topic}","event_timestamp":"{at}",'
    '"source_service":"class_management_service","schema_version":1,'
    '"correlation_id":"{correlation_id}","data_schema_uri":null,"data":{data},"metadata":null}}'
)
CREATED: Final = (
    '{{"event":"student.created","student_id":"{id}","first_name":{first},"last_name":{last},'
    '"student_email":{email},"external_id":null,"class_ids":["{class_id}"],'
    '"created_by_user_id":{owner},"correlation_id":"{correlation_id}","timestamp":"{at}"}}'
)
ADDED: Final = (
    '{{"teacher_id":{owner},"notification_type":"student_added_to_class",'
    '"category":"class_management","priority":"low","payload":{{"student_id":"{id}",'
    '"student_name":{name},"class_id":"{class_id}","class_designation":"Importklass",'
    '"message":{text}}},"action_required":false,"deadline_timestamp":null,'
    '"correlation_id":"{correlation_id}","batch_id":null,"class_id":"{class_id}",'
    '"timestamp":"{at}"}}'
)
MADE: Final = (
    '{{"event":"class.created","class_id":"{id}","class_designation":{name},'
    '"course_codes":[{course}],"external_id":null,"user_id":{owner},'
    '"correlation_id":"{correlation_id}","timestamp":"{at}"}}'
)
TOLD: Final = (
    '{{"teacher_id":{owner},"notification_type":"class_created",'
    '"category":"class_management","priority":"standard","payload":{{"class_id":"{id}",'
    '"class_designation":{name},"course_codes":[{course}],"message":{text}}},'
    '"action_required":false,"deadline_timestamp":null,"correlation_id":"{correlation_id}",'
    '"batch_id":null,"class_id":"{id}","timestamp":"{at}"}}'
)
RESULT: Final = (
    '{{"command_id":"{command_id}","command":"{command}","status":"applied","error_code":null,'
    '"detail":null,"student_id":null,"class_id":null,"errors":[],"entity_ids":[{ids}],'
    '"timestamp":"{at}"}}'
)
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
    at = _now()
    yield from student_messages(of, topic, at)
    ids = ",".join(f'"{student["student_id"]}"' for student in of.students)
    result = RESULT.format(command_id=of.event_id, command=of.name, ids=ids, at=at)
    yield _message(f"{topic}.results", of.event_id.encode(), result, of.correlation_id, at)


def student_messages(of: Command, topic: str, at: str = "") -> Iterator[Message]:
    """Return an event and a notification for each student."""
    at = at or _now()
    same = {"correlation_id": of.correlation_id, "at": at, "class_id": of.class_id}
    owner, key = _text(of.owner), of.owner.encode()
    for student in of.students:
        name, student_id = student["person_name"], student["student_id"]
        first, last, whole = _names(name["first_name"], name["last_name"])
        told = _text(f"{name['first_name']} {name['last_name']} was added to class Importklass.")
        email = _text(student["email"])
        created = CREATED.format(
            id=student_id, first=first, last=last, email=email, owner=owner, **same
        )
        yield _message(topic, student_id.encode(), created, of.correlation_id, at)
        added = ADDED.format(id=student_id, owner=owner, name=whole, text=told, **same)
        yield _message(f"{topic}.notified", key, added, of.correlation_id, at)


def class_messages(row: Sequence[Any], topic: str) -> list[Message]:
    """Return the event and the notification of a class, of the row that is stored."""
    class_id, owner, name, course, correlation_id = map(str, row)
    at = _now()
    same = {
        "id": class_id,
        "owner": _text(owner),
        "name": _text(name),
        "course": _text(course),
        "text": _text(f"Class {name} was created."),
        "correlation_id": correlation_id,
        "at": at,
    }
    return [
        _message(topic, class_id.encode(), MADE.format(**same), correlation_id, at),
        _message(f"{topic}.notified", owner.encode(), TOLD.format(**same), correlation_id, at),
    ]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _names(first: str, last: str) -> tuple[str, str, str]:
    return _text(first), _text(last), _text(f"{first} {last}")


def _text(value: str) -> str:
    return orjson.dumps(value).decode()


def _message(topic: str, key: bytes, data: str, correlation_id: str, at: str) -> Message:
    event_id = str(uuid7())
    value = ENVELOPE.format(
        event_id=event_id, topic=topic, at=at, correlation_id=correlation_id, data=data
    )
    headers = [
        ("event_id", event_id.encode()),
        ("event_type", topic.encode()),
        ("correlation_id", correlation_id.encode()),
        _JSON,
    ]
    return topic, key, value.encode(), headers
