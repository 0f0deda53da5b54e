"""`class-management migrate`: the schema of the database."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from class_management.cli.options import connect_option
from class_management.cli.runner import (
    EXIT_NO,
    EXIT_OK,
    TroubleError,
    answering,
    connect_seconds,
    run,
    setup_logs,
    warn,
)
from class_management.settings import PREFIX, Settings
from rules.errors import reason

if TYPE_CHECKING:
    from migrations.losses import Loss


@click.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help='Go down to REVISION ("base" for an empty database).')
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether --down may drop what it drops.")
@connect_option
def migrate(revision: str, *, down: bool, yes: bool) -> None:
    """Bring the database's schema to REVISION, by default the newest.

    --down says first which tables and columns it drops, with how much is in them, and asks.

    Exit codes: 0; 1 where the answer was no; 2 for trouble.
    """
    if down and revision == "head":
        raise click.UsageError("--down needs the REVISION to go down to.")
    run(lambda settings: _migrate(settings, revision, down=down, yes=yes))


async def _migrate(settings: Settings, revision: str, *, down: bool, yes: bool) -> int:
    from migrations import HEAD
    from migrations.revision import current

    setup_logs(settings)
    dsn = settings.database_url
    with _trouble():
        async with answering(f"PostgreSQL at {_server(settings)}"):
            before = await current(dsn)
        if revision == "head" and before == HEAD:
            click.echo(f"The schema is at {HEAD} already.")
            return EXIT_OK
        if down and not await _may_go_down(dsn, before, revision, yes=yes):
            return EXIT_NO
        await _move(dsn, revision, down=down)
        after = await current(dsn)
    click.echo(f"The schema went from {before or 'nothing'} to {after or 'nothing'}.")
    return EXIT_OK


async def _move(dsn: str, revision: str, *, down: bool) -> None:
    from migrations import runner

    await (runner.downgrade if down else runner.upgrade)(
        dsn,
        revision,
        on_wait=lambda: warn("waiting for another migration to end"),
        connect_seconds=connect_seconds(),
    )


async def _may_go_down(dsn: str, present: str | None, target: str, *, yes: bool) -> bool:
    """Say what will be dropped, and ask. Raises TroubleError where nobody can be asked."""
    from migrations import runner

    lost = await runner.lost_by_downgrade(dsn, target, connect_seconds=connect_seconds())
    if not yes and not sys.stdin.isatty():
        raise TroubleError(
            f"nothing was done: it would drop {_summary(lost)}, and nobody can be asked; give --yes"
        )
    click.echo(f"Going down from {present or 'nothing'} to {target} drops:", err=True)
    for line in map(_line, lost):
        click.echo(f"  {line}", err=True)
    if not lost:
        click.echo("  no table and no column", err=True)
    return yes or click.confirm("Go down?", err=True)


def _summary(lost: "Sequence[Loss]") -> str:
    return ", ".join(map(_line, lost)) or "nothing"


def _line(loss: "Loss") -> str:
    if loss.column is None:
        return f"table {loss.table} with {loss.count:,} rows"
    return f"column {loss.table}.{loss.column} with {loss.count:,} values"


def _server(settings: Settings) -> str:
    from class_management.address import database_servers

    servers = database_servers(settings.database_url)
    return ", ".join(f"{host}:{port}" for host, port in servers) or "its socket"


@contextmanager
def _trouble() -> Iterator[None]:
    from asyncpg import InterfaceError, InvalidAuthorizationSpecificationError, PostgresError

    from migrations.revision import RevisionError

    try:
        yield
    except (InvalidAuthorizationSpecificationError, InterfaceError) as error:
        raise TroubleError(f"{PREFIX}DATABASE_URL: {reason(error)}") from error
    except (OSError, PostgresError, RevisionError) as error:
        raise TroubleError(f"the database cannot be migrated: {reason(error)}") from error
