"""The messages that committed changes publish, in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final

from store.memory.state import MemoryStore
from store.protocols.outbox import OutboxRow


class MemoryOutbox:
    """Meets OutboxProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def waiting_shards(self) -> list[int]:
        """Return the shards with rows to publish."""
        return [shard for shard, rows in enumerate(self._store.outbox) if rows]

    @contextlib.asynccontextmanager
    async def lease(self, shard: int) -> AsyncIterator["MemoryLease | None"]:
        """Take a shard; None where another worker has it."""
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
        """Return when something was published, at the latest after the timeout."""
        await self._store.committed.wait(timeout_seconds)

    async def announce(self) -> None:
        """Do nothing for ever: this store has one process."""
        await asyncio.Event().wait()

    async def listen(self) -> None:
        """Do nothing for ever, likewise."""
        await asyncio.Event().wait()


class MemoryLease:
    """Meets OutboxLease."""

    def __init__(self, store: MemoryStore, shard: int) -> None:
        self._rows: Final = store.outbox[shard]
        self._published: Final[set[int]] = set()

    async def fetch(self, limit: int) -> list[OutboxRow]:
        """Return the shard's first rows, by id."""
        waiting = (w.row for w in self._rows.values() if w.row.id not in self._published)
        return list(islice(waiting, limit))

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that were published; takes effect when the lease ends without error."""
        self._published.update(ids)

    def end(self) -> None:
        """Let the deletions take effect."""
        for row_id in self._published:
            self._rows.pop(row_id, None)
