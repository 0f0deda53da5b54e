"""The messages that committed changes publish, in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import accumulate, islice
from typing import Final

from rules import packs
from rules.shards import SHARDS
from rules.sizes import size_of
from store.memory.state import MemoryStore, SetAsideRow
from store.protocols.outbox import Pack, Refusal


class MemoryOutbox:
    """Implements OutboxProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    @property
    def most_leases(self) -> int:
        return SHARDS

    @contextlib.asynccontextmanager
    async def lease(self, shards: Collection[int], most: int) -> AsyncIterator["MemoryLease"]:
        leased = self._store.leased
        waiting = [s for s in shards if self._store.outbox[s] and s not in leased]
        lease = MemoryLease(self._store, frozenset(self._fetched_together(waiting)[:most]))
        leased |= lease.shards
        try:
            yield lease
            lease.carry_out()
        finally:
            leased -= lease.shards

    def _fetched_together(self, shards: Sequence[int]) -> list[int]:
        first = [_size(next(iter(self._store.outbox[shard].values())).pack) for shard in shards]
        before = accumulate(first, initial=0)
        return [s for s, size in zip(shards, before, strict=False) if size < packs.LEASED_BYTES]

    async def wait(self, timeout_seconds: float) -> None:
        await self._store.committed.wait(timeout_seconds)

    async def announce(self) -> None:
        await asyncio.Event().wait()  # this store has one process: there is nothing to announce

    async def listen(self) -> None:
        await asyncio.Event().wait()


class MemoryLease:
    """Implements OutboxLease."""

    def __init__(self, store: MemoryStore, shards: frozenset[int]) -> None:
        self._store: Final = store
        self._shards: Final = shards
        self._done: Final[list[Pack]] = []
        self._set_aside: Final[dict[int, Refusal | None]] = {}

    @property
    def shards(self) -> frozenset[int]:
        return self._shards

    async def fetch(self) -> list[Pack]:
        done = {pack.id for pack in self._done}
        return [
            replace(pack, held=self._held(pack))
            for shard in sorted(self._shards)
            for pack in _first(self._waiting(shard, done))
        ]

    def _waiting(self, shard: int, done: AbstractSet[int]) -> Iterator[Pack]:
        waiting = (one.pack for one in self._store.outbox[shard].values())
        return (pack for pack in waiting if pack.id not in done)

    def _held(self, pack: Pack) -> frozenset[int]:
        earlier = self._store.set_aside.values()
        messages = enumerate(pack.messages)
        return frozenset(i for i, m in messages if any(one.is_before(m) for one in earlier))

    async def keep(self) -> None:
        """Do nothing: a worker of this store hangs with it."""

    async def end(self, done: Sequence[Pack], set_aside: Mapping[int, Refusal | None]) -> None:
        self._done.extend(done)
        self._set_aside.update(set_aside)

    def carry_out(self) -> None:
        """Do what was asked for."""
        now = self._store.now()
        for pack in self._done:
            gone = self._store.outbox[pack.shard].pop(pack.id)
            for number, message in gone.numbered():
                if number in self._set_aside:
                    reason = self._set_aside[number]
                    row = SetAsideRow(message, gone.written_at, reason, now)
                    self._store.set_aside[number] = row


def _first(waiting: Iterable[Pack]) -> Iterator[Pack]:
    """Return the first packs.FETCHED_PACKS up to packs.FETCHED_BYTES, or one."""
    size = 0
    for pack in islice(waiting, packs.FETCHED_PACKS):
        added = _size(pack)
        if size and size + added > packs.FETCHED_BYTES:
            return
        yield pack
        size += added


def _size(pack: Pack) -> int:
    return sum(size_of(m.key, m.value, m.headers) for m in pack.messages)
