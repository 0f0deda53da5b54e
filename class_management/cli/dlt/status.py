"""Dead letters beside what was decided about them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from class_management.cli.dlt.errors import TroubleError
from class_management.container import build_container
from class_management.settings import Settings
from rules.dead_letters.letters import Address, Letter
from rules.dead_letters.replays import Decided, State, state_of
from rules.errors import DataRefusedError, StoreUnavailableError
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.pool import PoolProtocol

#: For somebody who waits anyway; a request would not.
ACQUIRE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A letter and how it stands; `state` is None where PostgreSQL does not say.

    `again_as` is the dead letter that its replay became.
    """

    letter: Letter
    state: State | None
    decided: Decided | None = None
    again_as: Address | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs to look at it any more: what failed again is another letter."""
        return self.state in {State.TAKEN, State.FAILED, State.DROPPED}


@asynccontextmanager
async def decisions(settings: Settings) -> AsyncIterator[DeadLetterProtocol]:
    """Connect to where decisions are kept. Raises TroubleError; so does what is done inside."""
    if settings.use_mock_repository:
        raise TroubleError("with USE_MOCK_REPOSITORY only the worker itself knows what was decided")
    waits = max(settings.database_acquire_timeout_seconds, ACQUIRE_SECONDS)
    own = {
        "database_pool_min_size": 1,
        "database_pool_max_size": 1,
        "database_acquire_timeout_seconds": waits,
    }
    container = build_container(settings.model_copy(update=own))
    try:
        yield container.get(DeadLetterProtocol)
    except (StoreUnavailableError, DataRefusedError) as error:
        raise TroubleError(f"PostgreSQL: {_why(error)}") from error
    finally:
        await container.get(PoolProtocol).close()


async def standings(
    letters: Sequence[Letter],
    store: DeadLetterProtocol | None,
    failures: Mapping[UUID, Address],
) -> list[Standing]:
    """Return how letters stand; without a store nobody knows. Raises StoreUnavailableError.

    `failures` are the letters that were replays themselves, by their replay's id.
    """
    if store is None:
        return [Standing(letter, None) for letter in letters]
    found = await store.decided([letter.id for letter in letters])
    return [_standing(letter, found.get(letter.id), failures) for letter in letters]


def failures(letters: Iterable[Letter]) -> dict[UUID, Address]:
    """Return the letters that were replays themselves, by their replay's id."""
    return {letter.replay_id: letter.address for letter in letters if letter.replay_id}


def _standing(
    letter: Letter, decided: Decided | None, failures: Mapping[UUID, Address]
) -> Standing:
    replay_id = decided.replay_id if decided else None
    again_as = failures.get(replay_id) if replay_id else None
    return Standing(letter, state_of(decided), decided, again_as)


def _why(error: BaseException) -> str:
    """Say what PostgreSQL says, or what keeps it from saying anything."""
    cause: Any = error.__cause__ or error
    if getattr(cause, "sqlstate", None) == "42P01":
        return f"{cause}: class-management migrate"
    return str(cause) or type(cause).__name__
