"""Commands, as another service writes them and as Kafka delivers them."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from devstack.rig import envelopes
from rules import topics
from rules.commands.orders import CommandDelivery
from rules.ids import new_id
from rules.messages.commands import parse_command
from rules.models import Record

TEACHER: Final = "teacher-1"

_offsets = itertools.count()


def name(first: str = "Åsa", last: str = "Öberg") -> dict[str, str]:
    """Return a PersonNameV1."""
    return {"first_name": first, "last_name": last}


def envelope(
    command: str, user_id: str = TEACHER, event_id: UUID | None = None, **members: object
) -> dict[str, Any]:
    """Return a command in its envelope."""
    data = {"command": command, "user_id": user_id, **plain(members)}
    return envelopes.envelope(
        topics.COMMANDS,
        data,
        "school_import",
        at="2026-11-20T08:15:30Z",
        event_id=event_id or new_id(),
    )


def plain(value: object) -> Any:  # noqa: ANN401  # JSON
    """Return a value as JSON has it: ids as text."""
    return json.loads(json.dumps(value, default=str))


def record(value: bytes | None, key: bytes | None = TEACHER.encode()) -> Record:
    """Return a value as Kafka delivers it, at an offset of its own."""
    return Record(topics.COMMANDS, 0, next(_offsets), 1_700_000_000_000, key, value, ())


def deliver(
    command: str, user_id: str = TEACHER, event_id: UUID | None = None, **members: object
) -> CommandDelivery:
    """Return a command as the agent hands it to the store."""
    written = record(json.dumps(envelope(command, user_id, event_id, **members)).encode())
    return CommandDelivery(written, parse_command(written))


def anew(delivery: CommandDelivery) -> CommandDelivery:
    """Return the same command at another offset, as its sender sends it again."""
    return replace(delivery, record=replace(delivery.record, offset=next(_offsets)))


def student(
    email: str | None = None,
    student_id: UUID | None = None,
    first: str = "Åsa",
    class_ids: Sequence[UUID] = (),
) -> dict[str, Any]:
    """Return the members of student.create."""
    members: dict[str, Any] = {"person_name": name(first), "email": email}
    if student_id is not None:
        members["student_id"] = student_id
    if class_ids:
        members["class_ids"] = list(class_ids)
    return members
