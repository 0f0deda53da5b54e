"""Consumes commands; the store executes them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from agents.consumers.batch_consumer import BatchConsumer
from agents.consumers.replays import report_replays
from agents.consumers.retry import with_retry
from rules.commands.orders import (
    AssociationsConfirm,
    Command,
    CommandDelivery,
    RosterRegister,
    StudentMerge,
)
from rules.commands.results import CommandResult, CommandStatus
from rules.messages.commands import parse_command
from rules.models import Record
from rules.progress import Progress
from rules.suggestions import MAX_ESSAYS
from store.protocols.commands import CommandRepositoryProtocol
from store.protocols.inbox import InboxProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

AGENT: Final = "commands"

#: Students and decisions per transaction, which holds its locks until it ends.
MOST_AT_ONCE: Final = 2_000

_log = get_logger(__name__)


class CommandsConsumer(BatchConsumer[CommandDelivery]):
    """Executes commands and records the result of each; `inbox` stores the dead letters."""

    def __init__(
        self, commands: CommandRepositoryProtocol, inbox: InboxProtocol, metrics: Metrics
    ) -> None:
        super().__init__(AGENT, inbox, metrics)
        self._commands = commands

    def _read(self, record: Record) -> CommandDelivery:
        return CommandDelivery(record, parse_command(record))

    def _portions(
        self, deliveries: Sequence[CommandDelivery]
    ) -> Iterator[Sequence[CommandDelivery]]:
        portion: list[CommandDelivery] = []
        room = MOST_AT_ONCE
        for delivery in deliveries:
            size = _size(delivery.command)
            if portion and size > room:
                yield portion
                portion, room = [], MOST_AT_ONCE
            portion.append(delivery)
            room -= size
        yield portion

    async def _store(
        self, deliveries: Sequence[CommandDelivery], reached: Sequence[Progress]
    ) -> None:
        results = await with_retry(
            lambda: self._commands.apply_commands(deliveries, reached), AGENT, self._metrics
        )
        for delivery, result in zip(deliveries, results, strict=True):
            if result.status is CommandStatus.REJECTED:
                _log_rejection(delivery.command, result)
        counts = Counter(result.status.value for result in results)
        for status, count in counts.items():
            self._metrics.messages.labels(AGENT, status).inc(count)
        _log.info("commands taken", **counts)
        handled = zip(deliveries, results, strict=True)
        outcomes = [(delivery.record, result.status.value) for delivery, result in handled]
        await report_replays(outcomes, AGENT, self._inbox, self._metrics)


def _log_rejection(command: Command, result: CommandResult) -> None:
    """Log a command that a person should look into; logging them all would dominate their cost."""
    _log.info(
        "command taken",
        outcome=result.status.value,
        command=command.name.value,
        error_code=result.error_code,
        event_id=str(command.event_id),
        correlation_id=str(command.caller.trace.correlation_id),
    )


def _size(command: Command) -> int:
    """Return how many records a command creates or changes, as far as it says."""
    match command.order:
        case RosterRegister(_, rows):
            return len(rows)
        case AssociationsConfirm(_, decisions, min_confidence):
            # How many suggestions qualify is known only once it is carried out.
            return len(decisions) if min_confidence is None else max(len(decisions), MAX_ESSAYS)
        case StudentMerge():
            return MOST_AT_ONCE  # a student may have any number of essays
        case _:
            return 1
