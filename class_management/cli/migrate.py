"""`class-management migrate`: the schema of the database."""

import click

from class_management.cli.runner import EXIT_OK, TroubleError, run, setup_logs
from class_management.settings import Settings


@click.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help='Go down to REVISION ("base" for an empty database).')
def migrate(revision: str, *, down: bool) -> None:
    """Bring the database's schema to REVISION, by default the newest.

    Exit codes: 0; 2 for trouble.
    """
    run(lambda settings: _migrate(settings, revision, down=down))


async def _migrate(settings: Settings, revision: str, *, down: bool) -> int:
    from asyncpg import PostgresError

    from migrations import HEAD
    from migrations.revision import RevisionError, current

    setup_logs(settings)
    dsn = settings.database_url
    try:
        before = await current(dsn)
        if revision == "head" and not down and before == HEAD:
            click.echo(f"The schema is at {HEAD} already.")
            return EXIT_OK
        from migrations import runner

        await (runner.downgrade if down else runner.upgrade)(dsn, revision)
        after = await current(dsn)
    except (OSError, PostgresError, RevisionError) as error:
        raise TroubleError(f"the database cannot be migrated: {error}") from error
    click.echo(f"The schema went from {before or 'nothing'} to {after or 'nothing'}.")
    return EXIT_OK
