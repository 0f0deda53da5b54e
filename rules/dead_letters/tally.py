"""Dead letters with what was decided about them, and what came of deciding about several."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from rules.dead_letters.letters import Address, Letter
from rules.dead_letters.replays import Decided, State, state_of
from rules.sizes import MAX_MESSAGE_BYTES

#: More than what Kafka itself adds to a record.
OVERHEAD_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class LetterStatus:
    """A letter and its state, which is None if PostgreSQL is away.

    `again_as` is the dead letter that its replay became.
    """

    letter: Letter
    state: State | None
    decided: Decided | None = None
    again_as: Address | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it needs no more attention: a replay that failed is another letter."""
        return self.state in {State.TAKEN, State.FAILED, State.DROPPED}


class Left(StrEnum):
    """Why a letter was left as it is, as what follows "it"."""

    TOO_LARGE = "is larger than its topic takes, and would hold up other messages"
    NOT_WHOLE = "does not have all of the message: have it sent again"
    DECIDED_MEANWHILE = "was decided about by somebody else meanwhile"
    GONE_MEANWHILE = "is gone meanwhile"


@dataclass(slots=True)
class Tally:
    """The letters that were replayed or dropped, and why others were left as they are."""

    letters: list[Letter] = field(default_factory=list)
    left: dict[Letter, Left] = field(default_factory=dict)

    def add(self, letter: Letter, accepted: set[UUID]) -> None:
        """Count a letter by whether the store accepted the decision."""
        if letter.id in accepted:
            self.letters.append(letter)
        else:
            self.left[letter] = Left.DECIDED_MEANWHILE


def with_states(
    letters: Iterable[Letter],
    decided: Mapping[UUID, Decided] | None,
    failures: Mapping[UUID, Address],
) -> list[LetterStatus]:
    """Return the letters with their states, which are unknown where `decided` is None.

    `failures` as returned by the function.
    """
    if decided is None:
        return [LetterStatus(letter, None) for letter in letters]
    return [_status(letter, decided.get(letter.id), failures) for letter in letters]


def failures(letters: Iterable[Letter]) -> dict[UUID, Address]:
    """Return the addresses of the letters that were replays, by the id of the replay."""
    return {letter.replay_id: letter.address for letter in letters if letter.replay_id}


def is_too_large(size: int) -> bool:
    """Return whether a topic would refuse so many bytes: their sender may have compressed them."""
    return size + OVERHEAD_BYTES > MAX_MESSAGE_BYTES


def _status(
    letter: Letter, decided: Decided | None, failures: Mapping[UUID, Address]
) -> LetterStatus:
    replay_id = decided.replay_id if decided else None
    again_as = failures.get(replay_id) if replay_id else None
    return LetterStatus(letter, state_of(decided), decided, again_as)
