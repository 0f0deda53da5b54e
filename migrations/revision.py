"""Connects to a database and reads the revision of its schema."""

from typing import Final

import asyncpg

CONNECT_SECONDS: Final = 10.0


class RevisionError(Exception):
    """The revision that was asked for does not exist, or cannot be reached from the present one."""


async def connect(
    dsn: str, seconds: float = CONNECT_SECONDS
) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect without statements that are kept by name: behind a pooler they would be lost."""
    return await asyncpg.connect(dsn, timeout=seconds, statement_cache_size=0)


async def current(dsn: str, seconds: float = CONNECT_SECONDS) -> str | None:
    """Return the database's revision, None for an empty database."""
    connection = await connect(dsn, seconds)
    try:
        if await connection.fetchval("select to_regclass('alembic_version')") is None:
            return None
        version: str | None = await connection.fetchval("select version_num from alembic_version")
        return version
    finally:
        await connection.close()
