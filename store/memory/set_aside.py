"""Messages that the broker refuses for good, in memory."""

import asyncio
from collections.abc import Sequence
from typing import Final

from rules.dead_letters.letters import event_id_of
from rules.shards import shard_of
from rules.sizes import size_of
from store.memory.state import MemoryStore, SetAsideRow, WaitingPack
from store.protocols.outbox import Pack, Refusal
from store.protocols.set_aside import SetAsideCounts, SetAsideMessage

LOOK_SECONDS: Final = 0.01


class MemorySetAside:
    """Implements SetAsideProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def refused(self) -> list[SetAsideMessage]:
        rows = sorted(self._store.set_aside.items(), key=lambda item: (item[1].since, item[0]))
        return [self._message(number, row, row.reason) for number, row in rows if row.reason]

    async def counts(self) -> SetAsideCounts:
        reasons = [row.reason for row in self._store.set_aside.values()]
        return SetAsideCounts(len(reasons) - reasons.count(None), reasons.count(None))

    async def retry(self, numbers: Sequence[int]) -> list[int]:
        return await self._end(numbers, keep=True)

    async def drop(self, numbers: Sequence[int]) -> list[int]:
        return await self._end(numbers, keep=False)

    async def _end(self, numbers: Sequence[int], *, keep: bool) -> list[int]:
        found = self._store.set_aside
        named = sorted(n for n in set(numbers) if n in found and found[n].reason)
        shards = {shard_of(found[n].message.key) for n in named}
        while self._store.leased & shards:  # noqa: ASYNC110  # a lease ends in many ways
            await asyncio.sleep(LOOK_SECONDS)
        ended = [number for number in named if number in found]
        for number in ended:
            behind = self._behind(found[number])
            self._put_back(([number] if keep else []) + behind)
            found.pop(number, None)
        self._store.committed.set()
        return ended

    def _behind(self, row: SetAsideRow) -> list[int]:
        rows = self._store.set_aside.items()
        return [n for n, other in rows if other is not row and row.is_before(other.message)]

    def _put_back(self, numbers: Sequence[int]) -> None:
        """Put messages back into the outbox, each a pack, in the order of all."""
        for number in numbers:
            row = self._store.set_aside.pop(number)
            pack = Pack(shard_of(row.message.key), number, [row.message])
            shard = self._store.outbox[pack.shard]
            shard[number] = WaitingPack(pack, row.written_at)
            in_order = sorted(shard.items())
            shard.clear()
            shard.update(in_order)

    def _message(self, number: int, row: SetAsideRow, reason: Refusal) -> SetAsideMessage:
        message = row.message
        return SetAsideMessage(
            number=number,
            topic=message.topic,
            key=message.key,
            event_id=event_id_of(message.headers),
            size=size_of(message.key, message.value, message.headers),
            reason=reason.value,
            since=row.since,
            waiting=len(self._behind(row)),
        )
