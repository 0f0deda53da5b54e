"""The in-memory store in numbers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from store.memory.state import MemoryStore
from store.protocols.overview import GRACE, MOST_COUNTED, MOST_PACKS, Due, Overview, Queue


class MemoryOverview:
    """Implements OverviewProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def overview(self) -> Overview:
        store, now = self._store, self._store.now()
        reasons = [row.reason for row in store.set_aside.values()]
        pending = [a for a in store.associations.values() if a.pending]
        overdue = [a for a in pending if a.confirm_by <= now - GRACE]
        due = [a for a in pending if a.confirm_by > now - GRACE]
        return Overview(
            now,
            self._outbox(),
            refused=len(reasons) - reasons.count(None),
            behind=reasons.count(None),
            parked=self._parked(),
            open_batches=sum(batch.closed_at is None for batch in store.batches.values()),
            overdue_batches=len({one.batch_id for one in overdue}),
            overdue_essays=len(overdue),
            due=_by_hour([(max(a.confirm_by, now), a.batch_id) for a in due]),
        )

    def _outbox(self) -> dict[int, Queue]:
        found = {}
        for shard, rows in enumerate(self._store.outbox):
            if first := list(islice(rows.values(), MOST_PACKS)):
                waiting = sum(len(one.pack.messages) for one in first)
                since = min(one.written_at for one in first)
                found[shard] = Queue(waiting, since, len(first) == MOST_PACKS)
        return found

    def _parked(self) -> Queue:
        first = list(islice(self._store.parked.values(), MOST_COUNTED))
        retry = self._store.policy.suggestion_retry
        since = min((one.deadline - retry for one in first), default=None)
        return Queue(len(first), since, len(first) == MOST_COUNTED)


def _by_hour(due: Sequence[tuple[datetime, UUID]]) -> list[Due]:
    found: defaultdict[datetime, list[UUID]] = defaultdict(list)
    for instant, batch_id in due:
        found[instant.replace(minute=0, second=0, microsecond=0)].append(batch_id)
    return [Due(hour, len(set(found[hour])), len(found[hour])) for hour in sorted(found)]
