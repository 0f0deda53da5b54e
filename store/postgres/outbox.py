"""The outbox: how messages are stored with a change, and how the relay fetches them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Container, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from rules.models import OutboxMessage
from store.postgres import gathered, packs, sql
from store.postgres.database import Connection, Database
from store.postgres.sessions import require_writable
from store.protocols.outbox import Pack, Refusal

Columns: TypeAlias = packs.Columns

#: The shortest time between two announcements.
ANNOUNCE_SECONDS: Final = 0.01
#: How soon a silently broken connection is noticed.
KEEP_ALIVE_SECONDS: Final = 5.0


def transposed(rows: Sequence[Sequence[Any]], width: int) -> Columns:
    """Turn rows into `width` columns, even if there are no rows."""
    return tuple([row[i] for row in rows] for i in range(width))


async def put(connection: Connection, messages: Sequence[OutboxMessage]) -> None:
    """Store messages in their order, in the transaction of the change that they report."""
    others = gathered.messages_of(connection)
    if others is not None:
        others += messages
    elif messages:
        await connection.execute(sql.outbox.INSERT_PACKS, *packs.packed(messages))


def columns_beside(
    connection: Connection, messages: Sequence[tuple[UUID, OutboxMessage]]
) -> Columns:
    """Return messages, with what each is about, for a statement that stores those of what it makes.

    Nothing if they are gathered: then `put_beside` adds them.
    """
    is_gathered = gathered.messages_of(connection) is not None
    return packs.numbered_of(() if is_gathered else messages)


def put_beside(
    connection: Connection, messages: Iterable[tuple[UUID, OutboxMessage]], made: Container[UUID]
) -> None:
    """Add the messages of what a statement made, if they are gathered."""
    others = gathered.messages_of(connection)
    if others is not None:
        others += [message for of_id, message in messages if of_id in made]


class PostgresLease:
    """The transaction that holds shards."""

    def __init__(self, connection: Connection, shards: frozenset[int]) -> None:
        self._connection = connection
        self._shards = shards

    @property
    def shards(self) -> frozenset[int]:
        return self._shards

    async def fetch(self) -> list[Pack]:
        if not self._shards:
            return []
        rows = await self._connection.fetch(
            sql.outbox.FETCH_PACKS, sum(1 << shard for shard in self._shards)
        )
        found = [Pack(row["shard"], row["id"], packs.unpack(row["content"])) for row in rows]
        some_set_aside = bool(rows) and rows[0]["some_set_aside"]
        return await self._with_held(found) if some_set_aside else found

    async def _with_held(self, found: Sequence[Pack]) -> list[Pack]:
        places = [(pack, place) for pack in found for place in range(len(pack.messages))]
        messages = [(pack.shard, pack.messages[place]) for pack, place in places]
        columns = transposed([(shard, m.topic, m.key) for shard, m in messages], 3)
        held: defaultdict[int, set[int]] = defaultdict(set)
        for row in await self._connection.fetch(sql.outbox.HELD, *columns):
            pack, place = places[row["place"] - 1]
            held[pack.id].add(place)
        return [replace(pack, held=frozenset(held[pack.id])) for pack in found]

    async def keep(self) -> None:
        await self._connection.execute(sql.sessions.KEEP_ALIVE)

    async def end(self, done: Sequence[Pack], set_aside: Mapping[int, Refusal | None]) -> None:
        if set_aside:
            await self._connection.execute(sql.set_aside.SET_ASIDE, *_set_aside(done, set_aside))
        if done:
            shards = list({pack.shard for pack in done})
            await self._connection.execute(
                sql.outbox.DELETE_PACKS, shards, [pack.id for pack in done]
            )


def _set_aside(done: Sequence[Pack], set_aside: Mapping[int, Refusal | None]) -> Columns:
    """Return what SET_ASIDE takes."""
    rows = [
        (
            pack.shard,
            pack.id,
            number,
            message.topic,
            message.key,
            message.value,
            packs.pack_headers(message.headers),
            (reason := set_aside[number]) and reason.value,
        )
        for pack in done
        for number, message in enumerate(pack.messages, pack.id)
        if number in set_aside
    ]
    return transposed(rows, 8)


class PostgresOutbox:
    """Implements OutboxProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def most_leases(self) -> int:
        return self._database.slots.most_leases

    @asynccontextmanager
    async def lease(self, shards: Collection[int], most: int) -> AsyncIterator[PostgresLease]:
        async with self._database.acquire() as connection, connection.transaction():
            rows = await connection.fetch(sql.outbox.LEASE_SHARDS, list(shards), most)
            yield PostgresLease(connection, frozenset(row["shard"] for row in rows))

    async def wait(self, timeout_seconds: float) -> None:
        await self._database.committed.wait(timeout_seconds)

    async def announce(self) -> None:
        # Not in the transactions that commit: there NOTIFY locks the whole database and undoes
        # group commit.
        async with self._database.alone() as connection:
            while True:
                if await self._database.committed.wait(KEEP_ALIVE_SECONDS):
                    await connection.execute(sql.outbox.ANNOUNCE_COMMIT)
                    await asyncio.sleep(ANNOUNCE_SECONDS)
                else:
                    await connection.execute(sql.sessions.KEEP_ALIVE)
                require_writable(connection.get_settings())

    async def listen(self) -> None:
        committed = self._database.committed
        async with self._database.alone() as connection:
            await connection.add_listener(sql.outbox.CHANNEL, lambda *_: committed.set())
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                await connection.execute(sql.sessions.KEEP_ALIVE)
                require_writable(connection.get_settings())
