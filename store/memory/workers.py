"""The workers that run now, as far as this process knows: itself."""

from datetime import timedelta
from typing import Final

from store.memory.state import MemoryStore
from store.protocols.workers import WorkerRecord


class MemoryWorkerRegistry:
    """Implements WorkerRegistryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def announce(self, own: WorkerRecord, forget_seconds: float) -> list[WorkerRecord]:
        workers, now = self._store.workers, self._store.now()
        limit = now - timedelta(seconds=forget_seconds)
        for name in [name for name, (_, seen_at) in workers.items() if seen_at < limit]:
            del workers[name]
        workers[own.worker] = own, now
        return [record for record in self._by_name() if record.worker != own.worker]

    async def known(self, forget_seconds: float) -> list[WorkerRecord]:
        limit = self._store.now() - timedelta(seconds=forget_seconds)
        seen = {name for name, (_, seen_at) in self._store.workers.items() if seen_at >= limit}
        return [record for record in self._by_name() if record.worker in seen]

    async def withdraw(self, own: WorkerRecord) -> None:
        record, _ = self._store.workers.get(own.worker, (None, None))
        if record is not None and record.started_at == own.started_at:
            del self._store.workers[own.worker]

    def _by_name(self) -> list[WorkerRecord]:
        return [self._store.workers[name][0] for name in sorted(self._store.workers)]
