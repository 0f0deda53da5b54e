"""What operating the in-memory store needs."""

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import Final

from rules.idempotency import KEPT
from store.memory.state import MemoryStore
from store.protocols.maintenance import Backlog, Turnover


class MemoryMaintenance:
    """Implements MaintenanceProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def check(self) -> None:
        pass

    async def ping(self) -> datetime:
        return self._store.now()

    async def backlog(self) -> Backlog:
        waiting = [pack for shard in self._store.outbox for pack in shard.values()]
        now = self._store.now()
        oldest = min((one.written_at for one in waiting), default=now)
        return Backlog(
            outbox_depth=sum(len(one.pack.messages) for one in waiting),
            outbox_age_seconds=(now - oldest).total_seconds(),
            pending_associations=sum(a.pending for a in self._store.associations.values()),
            parked_messages=len(self._store.parked),
        )

    async def purge_inbox(self, older_than_days: int) -> int:
        limit = self._store.now() - timedelta(days=older_than_days)
        old = [identity for identity, handled in self._store.inbox.items() if handled < limit]
        for identity in old:
            del self._store.inbox[identity]
            self._store.delivered.pop(identity, None)
        return len(old)

    async def purge_deleted_classes(self, older_than_days: int) -> int:
        store = self._store
        limit = store.now() - timedelta(days=older_than_days)
        needed = {b.deleted_class_id for b in store.batches.values() if b.closed_at is None}
        old = {class_id for class_id, at in store.deleted_at.items() if at < limit} - needed
        for class_id in old:
            del store.deleted_at[class_id], store.deleted_classes[class_id]
        return len(old)

    async def purge_keys(self) -> int:
        answers, limit = self._store.answers, self._store.now() - KEPT
        old = [key for key, stored in answers.items() if stored.at <= limit]
        for key in old:
            del answers[key]
        return len(old)

    async def turn_over_changes(self, kept: timedelta) -> Turnover:
        """Forget old changes one by one: there are no weeks here."""
        old = bisect_right(self._store.changed_at, self._store.now() - kept)
        del self._store.changes[:old], self._store.changed_at[:old]
        self._store.changes_forgotten += old
        return Turnover()
