"""Migrates a database to a revision of the schema."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from migrations.revision import RevisionError

#: The advisory lock by which simultaneous starts wait for each other; used only here.
_LOCK = 5_002_001


async def upgrade(dsn: str, revision: str = "head") -> None:
    """Migrate up to `revision`.

    Raises RevisionError, and OSError or asyncpg.PostgresError if there is no database.
    """
    await _run(dsn, lambda config: command.upgrade(config, revision))


async def downgrade(dsn: str, revision: str) -> None:
    """Migrate down to `revision` ("base" for none). Raises as `upgrade` does."""
    await _run(dsn, lambda config: command.downgrade(config, revision))


async def _run(dsn: str, work: Callable[[Config], None]) -> None:
    engine = create_async_engine(_sqlalchemy_url(dsn), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_locked, work)
            await connection.commit()
    finally:
        await engine.dispose()


def _locked(connection: Connection, work: Callable[[Config], None]) -> None:
    connection.exec_driver_sql(f"select pg_advisory_lock({_LOCK})")
    connection.commit()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        work(config)
    except CommandError as error:
        raise RevisionError(str(error)) from error


def _sqlalchemy_url(dsn: str) -> str:
    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    return url.render_as_string(hide_password=False)
