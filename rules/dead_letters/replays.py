"""What people decided about dead letters, and what came of the replays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from rules.dead_letters.letters import Address, replay_mark
from rules.dead_letters.messages import DeadLetter
from rules.models import OutboxMessage, Record
from rules.suggestions import Outcome


class LetterDecision(StrEnum):
    """What somebody decided about a dead letter."""

    REPLAYED = "replayed"
    DROPPED = "dropped"


class State(StrEnum):
    """How a dead letter stands.

    `OPEN`: undecided. `UNDERWAY`: replayed, and the service has not handled that yet, or
    waits for a class or student itself. `TAKEN`: replayed, and handled. `FAILED`: replayed, and
    became another dead letter. `DROPPED`: never to be replayed.
    """

    OPEN = "open"
    UNDERWAY = "underway"
    TAKEN = "taken"
    FAILED = "failed again"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision and what came of it; `reason` is that of the new dead letter of a replay."""

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
    """What became of a replay: `outcome` is what is counted of every message."""

    replay_id: UUID
    outcome: str
    reason: str | None = None


def state_of(decided: Decided | None) -> State:
    """Tell how a letter stands."""
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
    """Tell whether what is now known of a replay says more than what was.

    Kafka may bring the replayed record again: that it is a duplicate by then says nothing.
    """
    return before is None or (before == Outcome.PARKED and after != Outcome.DUPLICATE)


def endings(handled: Iterable[tuple[Record, str]]) -> list[Ended]:
    """Return what became of the replays among handled records; of one that comes twice, the first.

    Most batches hold none.
    """
    ended: dict[UUID, Ended] = {}
    for record, outcome in handled:
        if mark := replay_mark(record):
            ended.setdefault(mark.id, Ended(mark.id, outcome))
    return list(ended.values())


class Delivered(Protocol):
    """A message that was read, and the record that carried it."""

    @property
    def record(self) -> Record:
        """The record."""


def endings_of(deliveries: Sequence[Delivered], outcomes: Sequence[StrEnum]) -> list[Ended]:
    """Return what became of the replays among deliveries, of which each has its outcome."""
    handled = zip(deliveries, outcomes, strict=True)
    return endings((delivery.record, outcome.value) for delivery, outcome in handled)


def failed_again(letters: Iterable[DeadLetter]) -> list[Ended]:
    """Return which replays are among new dead letters."""
    return [
        Ended(mark.id, Outcome.DEAD_LETTERED.value, letter.reason.value)
        for letter in letters
        if (mark := replay_mark(letter.record))
    ]
