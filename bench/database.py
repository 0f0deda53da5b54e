"""Queries that several benchmarks share."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import asyncpg

from devstack.rig.waiting import until

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Question: TypeAlias = Callable[[], Awaitable[bool]]


def is_true(connection: Connection, sql: str, *arguments: object) -> Question:
    """Return a function that returns whether a statement returns true."""

    async def look() -> bool:
        return bool(await connection.fetchval(sql, *arguments))

    return look


#: Of the outbox: a version of the service has some of these tables, the floors have the last. With
#: packs `outbox` is a view of them.
_OUTBOX: Final = ["outbox", "outbox_packs", "bench_packs"]
_THERE: Final = """
select name from unnest($1::text[]) as name
join pg_class on pg_class.oid = to_regclass(name) where relkind = 'r'
"""


async def waiting(connection: Connection) -> int:
    """Return how many rows of the outbox wait; a row may have several messages."""
    rows = 0
    for table in await _outbox_tables(connection):
        rows += await connection.fetchval(f"select count(*) from {table}")  # noqa: S608  # our names
    return rows


async def empty_outbox(connection: Connection) -> None:
    """Delete what a floor has put into the outbox, from which nobody sends it."""
    await connection.execute(f"truncate {', '.join(await _outbox_tables(connection))}")


async def outbox_is_empty(connection: Connection) -> bool:
    """Return whether everything committed has been published."""
    return await (await _emptiness(connection))()


async def await_empty_outbox(
    connection: Connection, *, pause_seconds: float, limit_seconds: float
) -> None:
    """Wait until everything committed has been published."""
    await until(
        "an empty outbox",
        await _emptiness(connection),
        pause_seconds=pause_seconds,
        limit_seconds=limit_seconds,
    )


async def _emptiness(connection: Connection) -> Question:
    rows = " and ".join(
        f"not exists (select from {table})" for table in await _outbox_tables(connection)
    )
    # Else each look would read all the dead rows, and be a part of what is measured.
    await connection.execute("set enable_seqscan = off")
    return is_true(connection, f"select {rows}")


async def _outbox_tables(connection: Connection) -> list[str]:
    return [row["name"] for row in await connection.fetch(_THERE, _OUTBOX)]
