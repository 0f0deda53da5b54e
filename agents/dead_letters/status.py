"""Asks the store what was decided about dead letters."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from rules.dead_letters.letters import Address, Letter
from rules.dead_letters.tally import LetterStatus, with_states
from store.protocols.dead_letters import DeadLetterProtocol


async def statuses(
    letters: Sequence[Letter],
    store: DeadLetterProtocol | None,
    failures: Mapping[UUID, Address],
) -> list[LetterStatus]:
    """Return the letters with their states, which are unknown without a store.

    `failures` as of rules.dead_letters.tally. Raises StoreUnavailableError.
    """
    decided = None if store is None else await store.decided([letter.id for letter in letters])
    return with_states(letters, decided, failures)
