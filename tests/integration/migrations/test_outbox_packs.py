"""Migration 0015 beside workers of the former version, which know an outbox of single messages."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from devstack.rig.database import connected
from migrations import runner
from rules.models import OutboxMessage
from rules.packs import MAX_BYTES
from rules.shards import SHARDS, shard_of
from store.postgres import outbox
from store.postgres.database import Connection, Database
from store.postgres.outbox import PostgresOutbox
from store.postgres.packs import pack_headers, unpack_headers
from store.postgres.set_aside import PostgresSetAside
from tests.support.order import Broker, number_of
from tests.support.profiles import by_profile
from tests.support.stores import opened

STEPS: Final = 60
SEEDS: Final = by_profile(short=2, long=20)

Row: TypeAlias = "asyncpg.Record"

# The statements of the former version, as they were.
INSERT = """
insert into outbox (shard, topic, key, value, headers)
select shard, topic, key, value, headers
from unnest($1::smallint[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
    with ordinality as message (shard, topic, key, value, headers, position)
order by position
"""
#: What creating classes has, without what is remembered.
INSERT_CLASSES = """
with made as (
    insert into classes (id, owner_id, name, course_code)
    select id, 'a', 'b', 'SV1' from unnest($1::uuid[]) as id
    on conflict do nothing returning id
), published as (
    insert into outbox (shard, topic, key, value, headers)
    select shard, topic, key, value, headers
    from unnest($2::uuid[], $3::smallint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
        with ordinality as message (of_id, shard, topic, key, value, headers, position)
    where of_id in (select id from made)
    order by position
)
select * from made
"""
WAITING_SHARDS = """
select wanted as shard from generate_series(0, 15) as wanted
where exists (select from outbox where outbox.shard = wanted::smallint)
"""
LEASE_SHARD = "select pg_try_advisory_xact_lock(5002002, $1::integer)"
FETCH = """
select id, topic, key, value, headers,
    (select id from outbox_set_aside where shard = $1::smallint order by id limit 1) is not null
        as some_set_aside
from (
    select *, sum(octet_length(value)) over (order by id) - octet_length(value) as before
    from (
        select * from outbox where shard = $1::smallint order by id limit $2
    ) as first_rows
) as measured
where coalesce(before, 0) < $3 order by id
"""
DELETE = "delete from outbox where shard = $1::smallint and id = any($2::bigint[])"
HELD = """
select id from outbox
where shard = $1::smallint and id = any($2::bigint[]) and exists (
    select from outbox_set_aside as earlier
    where earlier.shard = outbox.shard and earlier.topic = outbox.topic
        and sha256(earlier.key) = sha256(outbox.key)
)
"""
SET_ASIDE = """
with taken as (
    delete from outbox where shard = $1::smallint and id = any($2::bigint[])
    returning shard, id, topic, key, value, headers, created_at
)
insert into outbox_set_aside (shard, id, topic, key, value, headers, created_at, reason)
select taken.*, set_aside.reason
from taken join unnest($2::bigint[], $3::text[]) as set_aside (id, reason) using (id)
"""
AWAIT_SHARDS = """
select pg_advisory_xact_lock(5002002, shard::integer) from (
    select distinct shard from outbox_set_aside where id = any($1::bigint[]) order by shard
) as shards
"""
RETRY = """
with ended as (
    select shard, id, topic, sha256(key) as digest from outbox_set_aside
    where id = any($1::bigint[]) and reason is not null
), leaving as (
    delete from outbox_set_aside where (shard, id) in (
        select shard, id from ended
        union
        select behind.shard, behind.id from ended
        join outbox_set_aside as behind on behind.shard = ended.shard
            and behind.topic = ended.topic and sha256(behind.key) = ended.digest
    )
    returning *
), put_back as (
    insert into outbox (shard, id, topic, key, value, headers, created_at) overriding system value
    select shard, id, topic, key, value, headers, created_at from leaving
)
select id from ended order by id
"""
BACKLOG = """
select (select count(*) from outbox) as outbox_depth,
    coalesce(extract(epoch from now() - (select min(created_at) from outbox)), 0)::float8
"""
REWRITE = """
update outbox as message set value = new.value, key = new.key
from unnest($2::bigint[], $3::bytea[], $4::bytea[]) as new (id, key, value)
where message.shard = $1::smallint and message.id = new.id
"""

#: An account with no more rights than the service needed before.
ACCOUNT = """
drop role if exists service;
create role service login password 'x';
grant select, insert, delete on outbox, outbox_set_aside to service;
grant select, insert on classes to service;
grant select on courses to service
"""
ROWS = "select id, shard, topic, key, value, headers, created_at from outbox order by shard, id"
SET_ASIDE_NUMBERS = "select id from outbox_set_aside where reason is not null"
#: Bytes of all kinds and sizes, also of another table; so few that one fetch has all of them.
ODD: Final = (
    OutboxMessage("topic", None, None, ()),
    OutboxMessage("topic", b"", b"", (("", b""),)),
    OutboxMessage("täpic", b"\x00\xff", bytes(range(256)), (("h", b"\x00\xff"), ("ö", b"x"))),
    OutboxMessage("topic", b"key", bytes(5 * MAX_BYTES), ()),
)


def columns(messages: Iterable[OutboxMessage]) -> tuple[list[Any], ...]:
    rows = [(shard_of(m.key), m.topic, m.key, m.value, pack_headers(m.headers)) for m in messages]
    return outbox.transposed(rows, 5)


class Older:
    """A worker of the former version."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", broker: Broker) -> None:
        self._connection = connection
        self._broker = broker

    async def put(self) -> None:
        messages = self._broker.messages()
        if self._broker.random.random() < 0.5:
            await self._connection.execute(INSERT, *columns(messages))
        else:
            ids = [uuid4() for _ in messages]
            await self._connection.execute(INSERT_CLASSES, ids, ids, *columns(messages))

    async def relay(self) -> None:
        await self._connection.fetch(BACKLOG)
        for row in await self._connection.fetch(WAITING_SHARDS):
            async with self._connection.transaction():
                await self._relay(row["shard"])

    async def _relay(self, shard: int) -> None:
        assert await self._connection.fetchval(LEASE_SHARD, shard)
        limit = self._broker.random.choice((1, 3, 500))
        rows = await self._connection.fetch(FETCH, shard, limit, 2**24)
        ids = [row["id"] for row in rows]
        held: set[int] = set()
        if rows[0]["some_set_aside"]:
            held = {row["id"] for row in await self._connection.fetch(HELD, shard, ids)}
        left = self._broker.take_messages((r["id"], message_of(r), r["id"] in held) for r in rows)
        await self._connection.execute(DELETE, shard, [i for i in ids if i not in left])
        reasons = [why and why.value for why in left.values()]
        await self._connection.execute(SET_ASIDE, shard, list(left), reasons)

    async def retry(self) -> None:
        async with self._connection.transaction():
            numbers = [row["id"] for row in await self._connection.fetch(SET_ASIDE_NUMBERS)]
            await self._connection.execute(AWAIT_SHARDS, numbers)
            await self._connection.fetch(RETRY, numbers)


class Newer:
    """A worker of this version."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker

    async def put(self) -> None:
        async def work(connection: Connection) -> None:
            await outbox.put(connection, self._broker.messages())

        await self._database.transact(work)

    async def relay(self) -> None:
        async with PostgresOutbox(self._database).lease(range(SHARDS), SHARDS) as lease:
            packs = await lease.fetch()
            await lease.end(packs, self._broker.take(packs))

    async def retry(self) -> None:
        aside = PostgresSetAside(self._database)
        await aside.retry([one.number for one in await aside.refused()])


def message_of(row: Row) -> OutboxMessage:
    headers = unpack_headers(row["headers"])
    return OutboxMessage(row["topic"], row["key"], row["value"], headers)


@asynccontextmanager
async def as_service(dsn: str) -> AsyncIterator[str]:
    """Make the account; return how it connects."""
    async with connected(dsn) as connection:
        await connection.execute(ACCOUNT)
        account = dsn.partition("://")[2].partition("@")[0]
        try:
            yield dsn.replace(account, "service:x")
        finally:
            await connection.execute("drop owned by service; drop role service")


async def fetched(database: Database) -> list[tuple[int, OutboxMessage]]:
    """Return what a relay gets, by shard and number."""
    async with PostgresOutbox(database).lease(range(SHARDS), SHARDS) as lease:
        packs = await lease.fetch()
    return [numbered for pack in packs for numbered in enumerate(pack.messages, pack.id)]


async def test_messages_that_wait_keep_numbers_and_bytes_and_come_first(
    empty_database: str,
) -> None:
    await runner.upgrade(empty_database, "0014")
    async with connected(empty_database) as connection:
        await connection.execute(INSERT, *columns(ODD * 3))
        before = await connection.fetch(ROWS)
        await runner.upgrade(empty_database)
        assert await connection.fetch(ROWS) == before
        async with opened(empty_database) as database:
            old = [(row["id"], message_of(row)) for row in before]
            assert await fetched(database) == old
            async with database.acquire() as used:
                await outbox.put(used, ODD)
            new = [one for one in await fetched(database) if one not in old]
            assert sorted(str(message) for _, message in new) == sorted(map(str, ODD))
            assert min(number for number, _ in new) > max(number for number, _ in old)


async def test_packs_are_messages_again_after_going_down(empty_database: str) -> None:
    await runner.upgrade(empty_database)
    async with connected(empty_database) as connection:
        async with opened(empty_database) as database, database.acquire() as used:
            await outbox.put(used, [*ODD, OutboxMessage("topic", b"key", b"after", ())])
        before = await connection.fetch(ROWS)
        await runner.downgrade(empty_database, "0014")
        assert await connection.fetch(ROWS) == before
        [row] = await connection.fetch(
            "insert into outbox (shard, topic, headers) values (0, 'topic', '[]') returning id"
        )
        assert row["id"] > max(one["id"] for one in before)
        await runner.upgrade(empty_database)
        assert len(await connection.fetch(ROWS)) == len(before) + 1


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_an_older_and_a_newer_worker_take_turns(empty_database: str, seed: int) -> None:
    random = Random(seed)
    broker = Broker(random)
    await runner.upgrade(empty_database, "0014")
    async with (
        as_service(empty_database) as dsn,
        opened(dsn) as database,
        connected(dsn) as connection,
    ):
        older, newer = Older(connection, broker), Newer(database, broker)
        for _ in range(10):
            await random.choice((older.put, older.put, older.relay, older.retry))()
        await runner.upgrade(empty_database)
        steps = (older.put, newer.put, older.relay, newer.relay, older.retry, newer.retry)
        for _ in range(STEPS):
            await random.choice(steps)()
        broker.refusing = False
        await newer.retry()
        while await connection.fetchval("select count(*) from outbox"):
            await older.relay()
            await newer.relay()
        broker.check()


async def test_an_older_erasing_rewrites_a_message_inside_a_pack(empty_database: str) -> None:
    await runner.upgrade(empty_database)
    messages = [OutboxMessage("topic", b"key", b"%d:" % n, (("h", b"x"),)) for n in range(3)]
    async with opened(empty_database) as database:
        async with database.acquire() as used:
            await outbox.put(used, messages)
        [first, *_] = await fetched(database)
        async with connected(empty_database) as connection:
            shard = shard_of(b"key")
            await connection.execute(REWRITE, shard, [first[0] + 1], [b"key"], [b"7:"])
            found = [message for _, message in await fetched(database)]
            assert [number_of(message) for message in found] == [0, 7, 2]
            assert [message.headers for message in found] == [(("h", b"x"),)] * 3
            assert await numbers(connection) == [first[0] + n for n in range(3)]


async def numbers(connection: "asyncpg.Connection[asyncpg.Record]") -> Sequence[int]:
    return [row["id"] for row in await connection.fetch("select id from outbox order by id")]
