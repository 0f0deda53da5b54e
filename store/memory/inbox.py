"""What stores consumed messages, in memory."""

from collections.abc import Sequence
from typing import Final

from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.models import Delivery, ParseSuggestions
from rules.progress import Progress
from rules.suggestions import Outcome
from store.memory import dead_letters, progress, suggestions
from store.memory.state import MemoryStore


class MemoryInbox:
    """Meets InboxProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> list[Outcome]:
        """Store messages in their order; again has no effect."""
        outcomes = suggestions.store_new(self._store, deliveries)
        progress.keep(self._store, reached)
        return outcomes

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> list[Outcome]:
        """Try parked messages again that are due for it."""
        return suggestions.retry_parked(self._store, parse, limit)

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        """Publish records to their dead-letter topics; return how many were new."""
        new = dead_letters.publish(self._store, letters)
        progress.keep(self._store, reached)
        return new

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        """Keep what became of replayed dead letters."""
        dead_letters.note(self._store, ended)
