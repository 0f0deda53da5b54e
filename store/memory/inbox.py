"""What stores consumed messages, in memory."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.models import Delivery, ParseSuggestions
from rules.progress import Progress
from rules.suggestions import Handled
from store.memory import dead_letters, progress, suggestions
from store.memory.state import MemoryStore


class MemoryInbox:
    """Implements InboxProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> Handled:
        handled = suggestions.store_new(self._store, deliveries)
        progress.keep(self._store, reached)
        return handled

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> Handled:
        return suggestions.retry_parked(self._store, parse, limit)

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        new = dead_letters.publish(self._store, letters)
        progress.keep(self._store, reached)
        return new

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        dead_letters.note(self._store, ended)

    async def sent_replays(self, replay_ids: Sequence[UUID]) -> set[UUID]:
        sent = {decided.replay_id for decided in self._store.decisions.values()}
        return {replay_id for replay_id in replay_ids if replay_id in sent}
