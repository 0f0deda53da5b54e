"""What people decided about dead letters, and how the replays ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from rules.commands.orders import CommandDelivery
from rules.dead_letters.letters import Address, replay_mark
from rules.dead_letters.messages import DeadLetter
from rules.models import Delivery, OutboxMessage, Record
from rules.suggestions import Outcome


class LetterDecision(StrEnum):
    """What a person decided about a dead letter."""

    REPLAYED = "replayed"
    DROPPED = "dropped"


class State(StrEnum):
    """The state of a dead letter.

    `OPEN`: undecided. `UNDERWAY`: replayed and not handled yet, or parked. `TAKEN`: replayed and
    handled. `FAILED`: replayed and dead-lettered again. `DROPPED`: never to be replayed.
    """

    OPEN = "open"
    UNDERWAY = "underway"
    TAKEN = "taken"
    FAILED = "failed again"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision and its outcome; `reason` is why a replay became a dead letter again."""

    letter: UUID
    decision: LetterDecision
    at: datetime
    replay_id: UUID | None = None
    outcome: str | None = None
    reason: str | None = None
    outcome_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """A dead letter to send again; `letter` and `address` say which."""

    id: UUID
    letter: UUID
    address: Address
    message: OutboxMessage


@dataclass(frozen=True, slots=True)
class Ended:
    """How a replay ended; `outcome` is what the metrics count of every message."""

    replay_id: UUID
    outcome: str
    reason: str | None = None


def state_of(decided: Decided | None) -> State:
    """Return the state of a letter."""
    if decided is None:
        return State.OPEN
    if decided.decision is LetterDecision.DROPPED:
        return State.DROPPED
    match decided.outcome:
        case None | Outcome.PARKED:
            return State.UNDERWAY
        case Outcome.DEAD_LETTERED:
            return State.FAILED
        case _:
            return State.TAKEN


def advances(before: str | None, after: str) -> bool:
    """Whether a replay's outcome `after` says more than the one `before`.

    Kafka may redeliver the replayed record: that it is a duplicate by then says nothing.
    """
    return before is None or (before == Outcome.PARKED and after != Outcome.DUPLICATE)


def endings(handled: Iterable[tuple[Record, str]]) -> list[Ended]:
    """Return how replays among handled records ended, of two outcomes the first; mostly none."""
    ended: dict[UUID, Ended] = {}
    for record, outcome in handled:
        if mark := replay_mark(record):
            ended.setdefault(mark.id, Ended(mark.id, outcome))
    return list(ended.values())


def endings_of(
    deliveries: Sequence[Delivery | CommandDelivery], outcomes: Sequence[StrEnum]
) -> list[Ended]:
    """Return how the replays among deliveries ended; `outcomes` are in the same order."""
    handled = zip(deliveries, outcomes, strict=True)
    return endings((delivery.record, outcome.value) for delivery, outcome in handled)


def failed_again(letters: Iterable[DeadLetter]) -> list[Ended]:
    """Return the replays among new dead letters."""
    return [
        Ended(mark.id, Outcome.DEAD_LETTERED.value, letter.reason.value)
        for letter in letters
        if (mark := replay_mark(letter.record))
    ]
