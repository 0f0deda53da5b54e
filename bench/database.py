"""Queries that several benchmarks share."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from devstack.rig.waiting import until

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Question: TypeAlias = Callable[[], Awaitable[bool]]


def is_true(connection: Connection, sql: str, *arguments: object) -> Question:
    """Return a function that returns whether a statement returns true."""

    async def look() -> bool:
        return bool(await connection.fetchval(sql, *arguments))

    return look


async def outbox_is_empty(connection: Connection) -> bool:
    """Return whether everything committed has been published."""
    return bool(await connection.fetchval("select not exists (select from outbox)"))


async def await_empty_outbox(
    connection: Connection, *, pause_seconds: float, limit_seconds: float
) -> None:
    """Wait until everything committed has been published."""
    await until(
        "an empty outbox",
        lambda: outbox_is_empty(connection),
        pause_seconds=pause_seconds,
        limit_seconds=limit_seconds,
    )
