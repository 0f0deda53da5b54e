"""The messages that committed changes publish, in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final

from store.memory.state import MemoryStore
from store.protocols.outbox import OutboxRow


class MemoryOutbox:
    """Implements OutboxProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def waiting_shards(self) -> list[int]:
        return [shard for shard, rows in enumerate(self._store.outbox) if rows]

    @contextlib.asynccontextmanager
    async def lease(self, shard: int) -> AsyncIterator["MemoryLease | None"]:
        leased = self._store.leased
        if shard in leased:
            yield None
            return
        leased.add(shard)
        try:
            lease = MemoryLease(self._store, shard)
            yield lease
            lease.end()
        finally:
            leased.remove(shard)

    async def wait(self, timeout_seconds: float) -> None:
        await self._store.committed.wait(timeout_seconds)

    async def announce(self) -> None:
        await asyncio.Event().wait()  # this store has one process: there is nothing to announce

    async def listen(self) -> None:
        await asyncio.Event().wait()


class MemoryLease:
    """Implements OutboxLease."""

    def __init__(self, store: MemoryStore, shard: int) -> None:
        self._rows: Final = store.outbox[shard]
        self._published: Final[set[int]] = set()

    async def fetch(self, limit: int) -> list[OutboxRow]:
        waiting = (w.row for w in self._rows.values() if w.row.id not in self._published)
        return list(islice(waiting, limit))

    async def delete(self, ids: Sequence[int]) -> None:
        self._published.update(ids)

    def end(self) -> None:
        """Carry out the deletions."""
        for row_id in self._published:
            self._rows.pop(row_id, None)
