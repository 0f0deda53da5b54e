"""What stores consumed messages."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.models import Delivery, ParseSuggestions
from rules.progress import Progress
from rules.suggestions import Handled


class InboxProtocol(Protocol):
    """Consumed messages: each takes effect once, is parked, or becomes a dead letter."""

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> Handled:
        """Store messages in their order, in one transaction; a repetition has no effect.

        A message whose class or student does not exist yet is parked. `reached` is the progress
        that this makes true.
        """

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> Handled:
        """Retry the parked messages that are due for it, of at most `limit` batches."""

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        """Dead-letter records, which makes `reached` true; return how many were new."""

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        """Store how replays ended that no other operation here has handled."""

    async def sent_replays(self, replay_ids: Sequence[UUID]) -> set[UUID]:
        """Return which of these ids are of replays that were sent."""
