"""Reads the revision of a database's schema."""

import asyncpg


class RevisionError(Exception):
    """The revision that was asked for does not exist, or cannot be reached from the present one."""


async def current(dsn: str) -> str | None:
    """Return the database's revision, None for an empty database."""
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("select to_regclass('alembic_version')") is None:
            return None
        version: str | None = await connection.fetchval("select version_num from alembic_version")
        return version
    finally:
        await connection.close()
