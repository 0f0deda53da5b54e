"""What people decide about dead letters."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.dead_letters.letters import Address
from rules.dead_letters.replays import Decided, Replay


class DeadLetterProtocol(Protocol):
    """What people decide about dead letters; whatever handles a replay keeps what came of it."""

    async def decided(self, letters: Sequence[UUID]) -> dict[UUID, Decided]:
        """Return what was decided about these letters."""

    async def replay(self, replays: Sequence[Replay], *, again: bool) -> list[UUID]:
        """Publish the messages of dead letters again, and keep that; return which letters.

        Left out is what was decided about before, unless it is to be done `again`.
        """

    async def drop(self, letters: Sequence[tuple[UUID, Address]], *, again: bool) -> list[UUID]:
        """Keep that these letters are never replayed; return which of them, as `replay` does."""

    async def forget(self, older_than_days: int) -> int:
        """Forget what was decided that long ago; return how much."""
