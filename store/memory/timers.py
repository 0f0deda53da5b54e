"""The deadlines of batches, in memory."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from rules.models import Batch, BatchState, PendingBatch
from rules.timeouts import ESSAYS_AT_ONCE
from store.memory import decisions
from store.memory.closing import publish_timer
from store.memory.state import MemoryStore
from store.protocols.timers import DecidedByClock


class MemoryTimers:
    """Implements TimerProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        return decisions.decide_due(self._store, batch_ids, most)

    async def overdue(
        self, limit: int, grace_seconds: float, without: Collection[UUID] = ()
    ) -> list[UUID]:
        until = self._store.now() - timedelta(seconds=grace_seconds)
        found = (batch for batch in self._pending() if batch.batch_id not in without)
        due = [batch for batch in found if batch.confirm_by <= until]
        due.sort(key=lambda batch: (batch.confirm_by, batch.batch_id))
        return [batch.batch_id for batch in due[:limit]]

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        behind = [batch for batch in self._pending() if after is None or batch.batch_id > after]
        return sorted(behind, key=lambda batch: batch.batch_id)[:limit]

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        now = self._store.now()
        for batch_id in dict.fromkeys(batch_ids):
            publish_timer(self._store, batch_id, now)

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        found = (self._store.batches.get(batch_id) for batch_id in dict.fromkeys(batch_ids))
        return [self._state(batch) for batch in found if batch is not None]

    def _pending(self) -> list[PendingBatch]:
        return [
            PendingBatch(batch.id, batch.class_id, state.pending_count, state.confirm_by)
            for batch in self._store.batches.values()
            if (state := self._state(batch)).confirm_by and batch.class_id
        ]

    def _state(self, batch: Batch) -> BatchState:
        pending = self._store.pending_of(batch.id)
        soonest = pending[0].confirm_by if pending else None
        return BatchState(batch.id, len(pending), soonest, batch.closed_at)
