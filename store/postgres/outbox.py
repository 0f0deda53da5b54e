"""The outbox: how messages are stored with a change, and how the relay fetches them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from rules.models import OutboxMessage
from rules.shards import shard_of
from store.postgres import sql
from store.postgres.database import Connection, Database
from store.postgres.sessions import require_writable
from store.protocols.outbox import OutboxRow, Refusal

Columns: TypeAlias = tuple[list[Any], ...]

#: The shortest time between two announcements.
ANNOUNCE_SECONDS: Final = 0.01
#: How soon a silently broken connection is noticed.
KEEP_ALIVE_SECONDS: Final = 5.0

#: A relay fetches at most this much of a shard at once, or one larger message.
MAX_BYTES: Final = 16 * 1024 * 1024


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """Pack headers of arbitrary bytes; Latin-1 gives each byte a character."""
    return orjson.dumps([[name, value.decode("latin-1")] for name, value in headers])


def unpack_headers(packed: bytes) -> tuple[tuple[str, bytes], ...]:
    """Undo `pack_headers`."""
    return tuple((name, text.encode("latin-1")) for name, text in orjson.loads(packed))


def columns(messages: Iterable[OutboxMessage]) -> Columns:
    """Return shards, topics, keys, values and headers, as the statements take them."""
    rows = [(shard_of(m.key), m.topic, m.key, m.value, pack_headers(m.headers)) for m in messages]
    return transposed(rows, 5)


def columns_of(messages: Iterable[tuple[UUID, OutboxMessage]]) -> Columns:
    """Like `columns`, after a column with the id of what each message is about."""
    pairs = list(messages)
    return ([of_id for of_id, _ in pairs], *columns(message for _, message in pairs))


def transposed(rows: Sequence[Sequence[Any]], width: int) -> Columns:
    """Turn rows into `width` columns, even if there are no rows."""
    return tuple([row[i] for row in rows] for i in range(width))


async def put(connection: Connection, messages: Sequence[OutboxMessage]) -> None:
    """Store messages in their order, in the transaction of the change that they report."""
    if messages:
        await connection.execute(sql.INSERT_OUTBOX, *columns(messages))


class PostgresLease:
    """The transaction that holds a shard."""

    def __init__(self, connection: Connection, shard: int) -> None:
        self._connection = connection
        self._shard = shard

    async def fetch(self, limit: int) -> list[OutboxRow]:
        rows = await self._connection.fetch(sql.FETCH_OUTBOX, self._shard, limit, MAX_BYTES)
        held = await self._held(rows)
        return [
            OutboxRow(
                row["id"],
                OutboxMessage(
                    row["topic"], row["key"], row["value"], unpack_headers(row["headers"])
                ),
                row["id"] in held,
            )
            for row in rows
        ]

    async def _held(self, rows: Sequence[Any]) -> AbstractSet[int]:
        if not (rows and rows[0]["some_set_aside"]):
            return frozenset()
        ids = [row["id"] for row in rows]
        held = await self._connection.fetch(sql.HELD_OUTBOX, self._shard, ids)
        return {row["id"] for row in held}

    async def delete(self, ids: Sequence[int]) -> None:
        await self._connection.execute(sql.DELETE_OUTBOX, self._shard, ids)

    async def set_aside(self, rows: Mapping[int, Refusal | None]) -> None:
        reasons = [reason.value if reason else None for reason in rows.values()]
        await self._connection.execute(sql.SET_ASIDE, self._shard, list(rows), reasons)


class PostgresOutbox:
    """Implements OutboxProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def most_leases(self) -> int:
        return self._database.slots.most_leases

    async def waiting_shards(self) -> list[int]:
        async with self._database.acquire() as connection:
            return [row["shard"] for row in await connection.fetch(sql.WAITING_SHARDS)]

    @asynccontextmanager
    async def lease(self, shard: int) -> AsyncIterator[PostgresLease | None]:
        async with self._database.acquire() as connection, connection.transaction():
            taken = await connection.fetchval(sql.LEASE_SHARD, shard)
            yield PostgresLease(connection, shard) if taken else None

    async def wait(self, timeout_seconds: float) -> None:
        await self._database.committed.wait(timeout_seconds)

    async def announce(self) -> None:
        # Not in the transactions that commit: there NOTIFY locks the whole database and undoes
        # group commit.
        async with self._database.alone() as connection:
            while True:
                if await self._database.committed.wait(KEEP_ALIVE_SECONDS):
                    await connection.execute(sql.ANNOUNCE_COMMIT)
                    await asyncio.sleep(ANNOUNCE_SECONDS)
                else:
                    await connection.execute(sql.KEEP_ALIVE)
                require_writable(connection.get_settings())

    async def listen(self) -> None:
        committed = self._database.committed
        async with self._database.alone() as connection:
            await connection.add_listener(sql.CHANNEL, lambda *_: committed.set())
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                await connection.execute(sql.KEEP_ALIVE)
                require_writable(connection.get_settings())
