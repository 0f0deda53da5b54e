"""Connects to a database and reads the revision of its schema."""

from typing import Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute

CONNECT_SECONDS: Final = 10.0


class RevisionError(Exception):
    """The revision that was asked for does not exist, or cannot be reached from the present one."""


async def connect(
    dsn: str, seconds: float = CONNECT_SECONDS
) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to the host that takes writes. Raises OSError and asyncpg.PostgresError.

    No statement is kept by name: behind a pooler it would be lost.
    """
    writing = SessionAttribute.read_write
    try:
        return await asyncpg.connect(
            dsn, timeout=seconds, statement_cache_size=0, target_session_attrs=writing
        )
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionError("no server takes writes: each is a standby or read-only") from error


async def current(dsn: str, seconds: float = CONNECT_SECONDS) -> str | None:
    """Return the database's revision, None for an empty database. Raises what `connect` raises."""
    connection = await connect(dsn, seconds)
    try:
        return await _version(connection)
    except asyncpg.InterfaceError as error:  # "connection is closed": nothing is wrong with the dsn
        raise ConnectionError(str(error)) from error
    finally:
        await connection.close()


async def _version(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    if await connection.fetchval("select to_regclass('alembic_version')") is None:
        return None
    version: str | None = await connection.fetchval("select version_num from alembic_version")
    return version
