"""Dead letters with the decisions about them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from class_management.cli.store import open_store
from class_management.settings import Settings
from rules.dead_letters.letters import Address, Letter
from rules.dead_letters.replays import Decided, State, state_of
from store.protocols.dead_letters import DeadLetterProtocol


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


@asynccontextmanager
async def decision_store(settings: Settings) -> AsyncIterator[DeadLetterProtocol]:
    """Connect to the store of decisions. Raises TroubleError, also for errors in the block."""
    in_memory = "only the worker itself knows what was decided"
    async with open_store(settings, in_memory) as store:
        yield store.get(DeadLetterProtocol)


async def statuses(
    letters: Sequence[Letter],
    store: DeadLetterProtocol | None,
    failures: Mapping[UUID, Address],
) -> list[LetterStatus]:
    """Return the letters with their states, which are unknown without a store.

    `failures` as returned by the function. Raises StoreUnavailableError.
    """
    if store is None:
        return [LetterStatus(letter, None) for letter in letters]
    found = await store.decided([letter.id for letter in letters])
    return [_status(letter, found.get(letter.id), failures) for letter in letters]


def failures(letters: Iterable[Letter]) -> dict[UUID, Address]:
    """Return the addresses of the letters that were replays, by the id of the replay."""
    return {letter.replay_id: letter.address for letter in letters if letter.replay_id}


def _status(
    letter: Letter, decided: Decided | None, failures: Mapping[UUID, Address]
) -> LetterStatus:
    replay_id = decided.replay_id if decided else None
    again_as = failures.get(replay_id) if replay_id else None
    return LetterStatus(letter, state_of(decided), decided, again_as)
