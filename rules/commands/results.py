"""The results of commands, and how they are published (docs/contract.md, section 3)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from rules import topics
from rules.changes import Created
from rules.commands.deduplication import Arrival
from rules.commands.orders import Command, CommandDelivery
from rules.errors import FieldError, ServiceError
from rules.events.envelopes import publish
from rules.joining import Joined, Outcome
from rules.models import ClassRecord, OutboxMessage
from rules.values import dataclass

#: Five per row of the longest roster: more than anyone reads, and far below what fits.
MAX_FAULTS: Final = 5_000


class CommandStatus(StrEnum):
    """The outcome of a command (`status`)."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command; `entity_ids` are what it created, changed, deleted or found.

    `student_id`, or `class_id`, is the sender's own that is in the way of what was refused.
    """

    status: CommandStatus
    entity_ids: tuple[UUID, ...] = ()
    error_code: str | None = None
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()
    student_id: UUID | None = None
    class_id: UUID | None = None


def applied(*entity_ids: UUID) -> CommandResult:
    """Return the result of an executed command, even if it changed nothing."""
    return CommandResult(CommandStatus.APPLIED, entity_ids)


def duplicate(*entity_ids: UUID) -> CommandResult:
    """Return the result of a command that was executed before."""
    return CommandResult(CommandStatus.DUPLICATE, entity_ids)


def rejected(error: ServiceError) -> CommandResult:
    """Return the result of a refusal."""
    return CommandResult(
        CommandStatus.REJECTED,
        (),
        error.error_code,
        error.detail,
        error.errors[:MAX_FAULTS],
        error.student_id,
        error.class_id,
    )


def created(made: Created[ClassRecord] | Outcome) -> CommandResult:
    """Return the result of a request to create something."""
    if isinstance(made, ServiceError):
        return rejected(made)
    if isinstance(made, Joined):
        return applied(made.record.id)
    return applied(made.record.id) if made.is_new else duplicate(made.record.id)


def result_message(command: Command, result: CommandResult, at: datetime) -> OutboxMessage:
    """Build CommandResultV1, keyed by the command's event id."""
    data = {
        "command_id": command.event_id,
        "command": command.name.value,
        "status": result.status.value,
        "error_code": result.error_code,
        "detail": result.detail,
        "student_id": result.student_id,
        "class_id": result.class_id,
        "errors": [
            {"pointer": e.pointer, "detail": e.detail, "student_id": e.student_id}
            for e in result.errors
        ],
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
    """Return all results and the messages to publish; `done` are the results of first arrivals."""
    firsts = iter(done)
    results, messages = [], []
    for delivery, arrival in zip(deliveries, arrived, strict=True):
        command = delivery.command
        result = next(firsts) if arrival is Arrival.FIRST else duplicate(*command.named)
        results.append(result)
        if arrival is not Arrival.REDELIVERED:
            messages.append(result_message(command, result, at))
    return results, messages
