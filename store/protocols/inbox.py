"""What stores consumed messages."""

from collections.abc import Sequence
from typing import Protocol

from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.models import Delivery, ParseSuggestions
from rules.progress import Progress
from rules.suggestions import Outcome


class InboxProtocol(Protocol):
    """Consumed messages: each has its effect once, waits its turn, or becomes a dead letter."""

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> list[Outcome]:
        """Store messages in their order, all in one transaction; again has no effect.

        What names a class or student that is not there yet is parked. `reached` is the progress
        that this makes true.
        """

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> list[Outcome]:
        """Try parked messages again that are due for it, `limit` batches at the most."""

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        """Publish records to their dead-letter topics; return how many were new.

        `reached` is the progress that this makes true.
        """

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        """Keep what became of replayed dead letters that no other operation here has handled."""
