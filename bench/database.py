"""What several benchmarks ask PostgreSQL."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Question: TypeAlias = Callable[[], Awaitable[bool]]


def is_true(connection: Connection, sql: str, *arguments: object) -> Question:
    """Return the question whether a statement returns true."""

    async def look() -> bool:
        return bool(await connection.fetchval(sql, *arguments))

    return look


def outbox_is_empty(connection: Connection) -> Question:
    """Return the question whether everything committed has left for Kafka."""
    return is_true(connection, "select not exists (select from outbox)")
