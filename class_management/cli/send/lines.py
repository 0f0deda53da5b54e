"""Reads the commands to send, and finds those that the service would reject by their form."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from rules import topics
from rules.commands.orders import CommandName, Refused, RosterRegister
from rules.errors import FieldError, ValidationFailedError
from rules.events.envelopes import publish
from rules.identity import is_user_id
from rules.ids import new_id
from rules.messages.commands import parse_command
from rules.models import OutboxMessage, Record, Trace

#: For one line; the rest are shown once these are corrected.
MAX_FAULTS: Final = 5


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command to send, with the number of its line."""

    line: int
    event_id: UUID
    command: str
    message: OutboxMessage


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a command, and why."""

    line: int
    reason: str


class LineError(Exception):
    """A line is not a command; the message says why, without values."""


def read_lines(lines: Iterable[bytes], user_id: str | None) -> tuple[list[Outgoing], list[BadLine]]:
    """Read a JSON object from each line that is not blank; `user_id` acts if a line names no one.

    All share one correlation id, so that one search finds everything they caused.
    """
    trace = Trace(new_id())
    outgoing: list[Outgoing] = []
    bad: list[BadLine] = []
    seen: dict[UUID, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            one = _outgoing(number, _members(line), user_id, trace)
        except LineError as error:
            bad.append(BadLine(number, str(error)))
            continue
        if (first := seen.setdefault(one.event_id, number)) == number:
            outgoing.append(one)
        else:
            bad.append(BadLine(number, f"has the event_id of line {first}"))
    return outgoing, bad


def _members(line: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise LineError("is no JSON") from None
    if not isinstance(members, dict):
        raise LineError("is no JSON object")
    return members


def _outgoing(number: int, members: dict[str, Any], user_id: str | None, trace: Trace) -> Outgoing:
    event_id = _event_id(members.pop("event_id", None))
    data = {"user_id": user_id, **members}
    name, user = data.get("command"), data["user_id"]
    if name not in tuple(CommandName):
        raise LineError(f"command: must be one of {', '.join(CommandName)}")
    if user is None:
        raise LineError("user_id: who acts? Give it in the line or with --user")
    if not isinstance(user, str) or not is_user_id(user):
        raise LineError("user_id: must name a user")
    message = publish(topics.COMMANDS, user, data, trace, datetime.now(UTC), event_id)
    _check(message)
    return Outgoing(number, event_id, str(name), message)


def _event_id(given: object) -> UUID:
    if given is None:
        return new_id()
    try:
        return UUID(str(given))
    except ValueError:
        raise LineError("event_id: must be a UUID") from None


def _check(message: OutboxMessage) -> None:
    """Read a command as the service will."""
    record = Record(message.topic, 0, 0, 0, message.key, message.value, message.headers)
    try:
        order = parse_command(record).order
    except ValidationFailedError as error:
        raise LineError(error.detail) from None
    if isinstance(order, Refused):
        raise LineError(_joined(order.error.errors) or order.error.detail)
    if isinstance(order, RosterRegister) and order.faults:
        raise LineError(_joined(order.faults))


def _joined(faults: tuple[FieldError, ...]) -> str:
    described = [f"{fault.pointer.lstrip('/')}: {fault.detail}" for fault in faults[:MAX_FAULTS]]
    more = len(faults) - MAX_FAULTS
    return "; ".join([*described, f"and {more} more"] if more > 0 else described)
