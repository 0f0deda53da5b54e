"""What people decide about dead letters."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.dead_letters.letters import Address, Stretch
from rules.dead_letters.replays import Decided, Replay


class DeadLetterProtocol(Protocol):
    """What people decide about dead letters; what handles a replay stores its outcome."""

    async def decided(self, letters: Sequence[UUID]) -> dict[UUID, Decided]:
        """Return what was decided about these letters."""

    async def replay(self, replays: Sequence[Replay], *, again: bool) -> list[UUID]:
        """Publish the messages of dead letters again, and store that; return which letters.

        Letters decided about before are left out, unless `again` is set.
        """

    async def drop(self, letters: Sequence[tuple[UUID, Address]], *, again: bool) -> list[UUID]:
        """Store that these letters are never replayed; return which, as `replay` does."""

    async def count_decided(self, stretches: Sequence[Stretch]) -> dict[str, int]:
        """Return how many letters of each topic, within these stretches, were decided about.

        By their addresses: those of a topic that was made anew count until it is past them.
        """

    async def forget(self, older_than_days: int) -> int:
        """Forget what was decided that long ago; return how many letters."""
