"""Commands: what they ask for, when one is a repetition, and the result of each.

The contract (section 3, "Commands") has their members; rules.command_inputs reads them.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Final, TypeAlias
from uuid import UUID

from rules import topics
from rules.changes import Made, RecordT
from rules.errors import FieldError, ServiceError
from rules.events.envelopes import publish
from rules.models import (
    Caller,
    ClassChange,
    HumanDecision,
    NewClass,
    NewStudent,
    OutboxMessage,
    Record,
    StudentChange,
)

#: Five for each row of the longest roster: more than anybody reads, and far below what fits.
MAX_FAULTS: Final = 5_000


class CommandName(StrEnum):
    """What `data.command` may say."""

    CLASS_CREATE = "class.create"
    CLASS_UPDATE = "class.update"
    CLASS_DELETE = "class.delete"
    STUDENT_CREATE = "student.create"
    STUDENT_UPDATE = "student.update"
    STUDENT_DELETE = "student.delete"
    ROSTER_REGISTER = "roster.register"
    ASSOCIATIONS_CONFIRM = "associations.confirm"


@dataclass(frozen=True, slots=True)
class ClassCreate:
    """Make a class."""

    new: NewClass


@dataclass(frozen=True, slots=True)
class ClassUpdate:
    """Change a class."""

    class_id: UUID
    change: ClassChange


@dataclass(frozen=True, slots=True)
class ClassDelete:
    """Delete a class."""

    class_id: UUID


@dataclass(frozen=True, slots=True)
class StudentCreate:
    """Make a student."""

    new: NewStudent


@dataclass(frozen=True, slots=True)
class StudentUpdate:
    """Change a student."""

    student_id: UUID
    change: StudentChange


@dataclass(frozen=True, slots=True)
class StudentDelete:
    """Delete a student."""

    student_id: UUID


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A student of a roster, and which of its rows it is."""

    index: int
    new: NewStudent


@dataclass(frozen=True, slots=True)
class RosterRegister:
    """Make the students of a class, all or none.

    `faults` are those of rows that cannot be read; `rows` are the others.
    """

    class_id: UUID
    rows: tuple[RosterRow, ...]
    faults: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class AssociationsConfirm:
    """Decide essays of a batch."""

    batch_id: UUID
    decisions: tuple[HumanDecision, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A command whose members are at fault: nothing of it is carried out."""

    error: ServiceError


Order: TypeAlias = (
    ClassCreate
    | ClassUpdate
    | ClassDelete
    | StudentCreate
    | StudentUpdate
    | StudentDelete
    | RosterRegister
    | AssociationsConfirm
    | Refused
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was read; `named` are the ids of what it is about, where it gives them.

    Every given id that it makes or deletes is among them (`rules.command_runs` rests on that).
    """

    event_id: UUID
    name: CommandName
    caller: Caller
    order: Order
    named: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandDelivery:
    """A command and the record that carried it."""

    record: Record
    command: Command


# --- repetitions -------------------------------------------------------------------------------


class Arrival(Enum):
    """How a delivered command stands to those before it.

    `FIRST`: nobody has seen its event id. `REPEATED`: its sender has sent the event id again, and
    expects a result. `REDELIVERED`: Kafka has brought a record again that has its result, or its
    dead letter.
    """

    FIRST = auto()
    REPEATED = auto()
    REDELIVERED = auto()


def arrivals(
    deliveries: Sequence[CommandDelivery],
    identities: Sequence[UUID],
    known: AbstractSet[UUID],
    handled: Mapping[UUID, UUID | None],
) -> list[Arrival]:
    """Tell for each delivery whether it is a repetition.

    `identities` are those of the deliveries (`delivery_id`), `known` those that have been answered
    or buried before, `handled` the event ids that were, each with the delivery that brought it
    first.
    """
    seen = set(known)
    firsts = dict(handled)
    found = []
    for delivery, identity in zip(deliveries, identities, strict=True):
        event_id = delivery.command.event_id
        if identity in seen or firsts.get(event_id) == identity:
            found.append(Arrival.REDELIVERED)
        elif event_id in firsts:
            found.append(Arrival.REPEATED)
        else:
            found.append(Arrival.FIRST)
            firsts[event_id] = identity
        seen.add(identity)
    return found


# --- results -----------------------------------------------------------------------------------


class CommandStatus(StrEnum):
    """What became of a command (`status`)."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command; `entity_ids` are what it made, changed, deleted or found made."""

    status: CommandStatus
    entity_ids: tuple[UUID, ...] = ()
    error_code: str | None = None
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


def applied(*entity_ids: UUID) -> CommandResult:
    """Return the result of what was carried out, also where it was so before."""
    return CommandResult(CommandStatus.APPLIED, entity_ids)


def duplicate(*entity_ids: UUID) -> CommandResult:
    """Return the result of what was carried out before."""
    return CommandResult(CommandStatus.DUPLICATE, entity_ids)


def rejected(error: ServiceError) -> CommandResult:
    """Return the result of a refusal."""
    return CommandResult(
        CommandStatus.REJECTED, (), error.error_code, error.detail, error.errors[:MAX_FAULTS]
    )


def created(made: Made[RecordT] | ServiceError) -> CommandResult:
    """Return the result of a request to make something."""
    if isinstance(made, ServiceError):
        return rejected(made)
    return applied(made.record.id) if made.is_new else duplicate(made.record.id)


def result_message(command: Command, result: CommandResult, at: datetime) -> OutboxMessage:
    """Build CommandResultV1, keyed by the command's event id."""
    data = {
        "command_id": command.event_id,
        "command": command.name.value,
        "status": result.status.value,
        "error_code": result.error_code,
        "detail": result.detail,
        "errors": [{"pointer": e.pointer, "detail": e.detail} for e in result.errors],
        "entity_ids": result.entity_ids,
        "timestamp": at,
    }
    return publish(topics.COMMAND_RESULTS, command.event_id, data, command.caller.trace, at)


def answers(
    deliveries: Sequence[CommandDelivery],
    arrived: Sequence[Arrival],
    done: Iterable[CommandResult],
    at: datetime,
) -> tuple[list[CommandResult], list[OutboxMessage]]:
    """Return the result of each delivery, and those that are to be published.

    `done` are the results of what came for the first time.
    """
    firsts = iter(done)
    results, messages = [], []
    for delivery, arrival in zip(deliveries, arrived, strict=True):
        command = delivery.command
        result = next(firsts) if arrival is Arrival.FIRST else duplicate(*command.named)
        results.append(result)
        if arrival is not Arrival.REDELIVERED:
            messages.append(result_message(command, result, at))
    return results, messages
