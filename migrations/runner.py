"""Migrates a database to a revision of the schema.

Each step is a transaction of its own, and takes the advisory lock first: simultaneous migrations
wait for each other, and then find what is done. A session's lock would outlive the migration behind
a pgbouncer that pools transactions, on whichever connection it was taken.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError as UnknownRevisionError
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from migrations.losses import Loss, columns, losses
from migrations.revision import CONNECT_SECONDS, RevisionError, connect

#: The advisory lock; store.postgres.advisory has the others.
_LOCK: Final = 5_002_001
#: How long a look at what would be lost waits for those who use the tables, and so holds up others.
_LOOK_LOCK_TIMEOUT: Final = "3s"

#: The revisions to go to, one after the other, from a present one on.
_Plan: TypeAlias = Callable[[ScriptDirectory, str | None], Sequence[str]]
_Move: TypeAlias = Callable[[Config, str], None]
_Told: TypeAlias = Callable[[], None]


def _nobody() -> None:
    """Tell nobody."""


async def upgrade(
    dsn: str,
    target: str = "head",
    *,
    on_wait: _Told = _nobody,
    connect_seconds: float = CONNECT_SECONDS,
) -> None:
    """Migrate up to `target`; call `on_wait` before waiting for another migration.

    Raises RevisionError, and OSError, asyncpg.InterfaceError or asyncpg.PostgresError if there is
    no database or it refuses.
    """
    plan = partial(_up, target)
    async with _connected(dsn, connect_seconds) as connection:
        await connection.run_sync(_migrate, plan, command.upgrade, on_wait)


async def downgrade(
    dsn: str,
    target: str,
    *,
    on_wait: _Told = _nobody,
    connect_seconds: float = CONNECT_SECONDS,
) -> None:
    """Migrate down to `target` ("base" for none); the rest as of `upgrade`."""
    plan = partial(_down, target)
    async with _connected(dsn, connect_seconds) as connection:
        await connection.run_sync(_migrate, plan, command.downgrade, on_wait)


async def lost_by_downgrade(
    dsn: str, target: str, *, connect_seconds: float = CONNECT_SECONDS
) -> list[Loss]:
    """Return what a downgrade would drop: it is made, and taken back. Raises as `upgrade` does."""
    async with _connected(dsn, connect_seconds) as connection:
        return await connection.run_sync(_look, target)


def _up(target: str, script: ScriptDirectory, present: str | None) -> list[str]:
    steps = script.iterate_revisions(target, present or "base", implicit_base=True)
    return [step.revision for step in steps][::-1]


def _down(target: str, script: ScriptDirectory, present: str | None) -> list[str]:
    if present is None:
        script.get_revisions(target)  # a name that nobody knows is an error here, too
        return []
    steps = script.iterate_revisions(present, target, select_for_downgrade=True)
    return [str(step.down_revision or "base") for step in steps]


def _migrate(connection: Connection, plan: _Plan, move: _Move, on_wait: _Told) -> None:
    """Take as many steps as there are at first: "+1" would go on for ever."""
    left = _step(connection, plan, move, on_wait)
    while left > 1:
        left = min(left - 1, _step(connection, plan, move, on_wait))


def _step(connection: Connection, plan: _Plan, move: _Move, on_wait: _Told) -> int:
    """Take the next step; return how many were to be taken, with it."""
    with _errors(), connection.begin():
        _lock(connection, on_wait)
        config = _config(connection)
        present = MigrationContext.configure(connection).get_current_revision()
        steps = plan(ScriptDirectory.from_config(config), present)
        if steps:
            move(config, steps[0])
        return len(steps)


def _look(connection: Connection, target: str) -> list[Loss]:
    with _errors(), connection.begin() as transaction:
        connection.exec_driver_sql(f"set local lock_timeout = '{_LOOK_LOCK_TIMEOUT}'")
        before = columns(connection)
        command.downgrade(_config(connection), target)
        after = columns(connection)
        transaction.rollback()
    with _errors(), connection.begin():
        return losses(connection, before, after)


def _lock(connection: Connection, on_wait: _Told) -> None:
    """Lock out other migrations until the transaction ends."""
    if not connection.exec_driver_sql(f"select pg_try_advisory_xact_lock({_LOCK})").scalar():
        on_wait()
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@asynccontextmanager
async def _connected(dsn: str, seconds: float) -> AsyncIterator[AsyncConnection]:
    """Connect as the service does, through a pooler as well."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        async_creator=lambda: connect(dsn, seconds),
        # Nothing is prepared under a name: behind a pooler the next transaction may find another
        # server, where the name is unknown, or somebody else's.
        connect_args={
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        },
    )
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@contextmanager
def _errors() -> Iterator[None]:
    """Raise Alembic's errors as RevisionError, and PostgreSQL's as what they were."""
    try:
        yield
    except (CommandError, UnknownRevisionError) as error:
        raise RevisionError(str(error)) from error
    except DBAPIError as error:
        cause = error.orig and error.orig.__cause__
        if isinstance(cause, OSError | asyncpg.PostgresError | asyncpg.InterfaceError):
            raise cause from None
        raise
