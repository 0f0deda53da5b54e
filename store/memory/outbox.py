"""The messages that committed changes publish, in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from rules.shards import SHARDS
from store.memory.state import MemoryStore, SetAsideRow
from store.protocols.outbox import OutboxRow, Refusal


class MemoryOutbox:
    """Implements OutboxProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    @property
    def most_leases(self) -> int:
        return SHARDS

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
        self._store: Final = store
        self._rows: Final = store.outbox[shard]
        self._published: Final[set[int]] = set()
        self._set_aside: Final[dict[int, Refusal | None]] = {}

    async def fetch(self, limit: int) -> list[OutboxRow]:
        gone = self._published | self._set_aside.keys()
        waiting = (w.row for w in self._rows.values() if w.row.id not in gone)
        return [replace(row, held=self._is_held(row)) for row in islice(waiting, limit)]

    def _is_held(self, row: OutboxRow) -> bool:
        return any(one.is_before(row.message) for one in self._store.set_aside.values())

    async def delete(self, ids: Sequence[int]) -> None:
        self._published.update(ids)

    async def set_aside(self, rows: Mapping[int, Refusal | None]) -> None:
        self._set_aside.update(rows)

    def end(self) -> None:
        """Carry out what was asked for."""
        now = self._store.now()
        for row_id, reason in self._set_aside.items():
            if row := self._rows.pop(row_id, None):
                self._store.set_aside[row_id] = SetAsideRow(row, reason, now)
        for row_id in self._published:
            self._rows.pop(row_id, None)
