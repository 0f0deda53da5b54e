"""What POST stores without rules: what waits is one statement and one commit, as in the service.

With a packer, messages are sent after that and their packs deleted with the next statement; without
one they stay.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg

from bench.floors import storing
from bench.floors.storing import Pack
from bench.packing import Message, Packer
from store.postgres.coalescing import Coalescer

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Row: TypeAlias = Mapping[str, Any]

IDLE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Posted:
    """A new row, in the order of the statement's columns, the id first, and its messages."""

    row: Sequence[Any]
    messages: Sequence[Message]


class Poster:
    """Stores new rows of one kind."""

    def __init__(self, pool: Pool, statement: str, packer: Packer | None = None) -> None:
        self._pool = pool
        self._statement = statement
        self._packer = packer
        self._sent: list[int] = []
        self._stored: asyncio.Queue[Pack] = asyncio.Queue()
        self._coalescer: Final[Coalescer[Posted, Row]] = Coalescer(self._store, lambda _: "")

    async def post(self, new: Posted) -> Row:
        """Store a row with its messages; return it."""
        [made] = await self._coalescer.ask([new])
        return made

    async def run(self) -> None:
        """Send what is stored, until cancelled."""
        while self._packer:
            packs = await self._next()
            await self._packer.send(message for pack in packs for message in pack.messages)
            self._sent += [number for pack in packs for number in pack.ids]

    async def _next(self) -> list[Pack]:
        """Return what is to be sent next; meanwhile delete what was sent, if no statement does."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                packs = [await self._stored.get()]
        except TimeoutError:
            sent, self._sent = self._sent, []
            if sent:
                await self._pool.execute(storing.DELETE_PACKS, sent)
            return []
        while not self._stored.empty():
            packs.append(self._stored.get_nowait())
        return packs

    async def _store(self, new: Sequence[Posted]) -> list[Row]:
        messages = [message for one in new for message in one.messages]
        columns = storing.transposed(one.row for one in new)
        sent, self._sent = self._sent, []
        packed = storing.packed(messages)
        found: list[Any] = await self._pool.fetch(self._statement, *columns, packed, sent)
        if self._packer:
            self._stored.put_nowait(Pack(found[0]["packs"], messages))
        made: dict[UUID, Row] = {row["id"]: row for row in found}
        return [made[one.row[0]] for one in new]
