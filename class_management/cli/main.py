"""`class-management`: the commands for those who operate the service."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import click

from class_management.cli.dlt.commands import dlt
from class_management.cli.send.commands import send
from class_management.cli.tables.commands import tables
from class_management.settings import LogFormat, Role, Settings, SettingsError, load_settings

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2

# The commands import what they need when they run: Faust alone takes most of a second.


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="class-management-service")
def main() -> None:
    """Operate the Class Management Service.

    Everything is configured through environment variables that begin with
    CLASS_MANAGEMENT_SERVICE_; the README lists them.
    """


main.add_command(dlt)
main.add_command(send)
main.add_command(tables)


@main.command()
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many to run behind one port; more than one with ROLE=web only.",
)
def worker(processes: int) -> None:
    """Run the service until SIGINT or SIGTERM.

    By CLASS_MANAGEMENT_SERVICE_ROLE it answers HTTP ("web"), takes part in the streams with
    agents, timers and relay ("stream"), or both ("all", the default).
    """
    settings = _start()
    if processes > 1:
        if settings.role is not Role.WEB:
            raise click.UsageError("--processes needs CLASS_MANAGEMENT_SERVICE_ROLE=web.")
        from class_management.processes import run_web_processes

        sys.exit(run_web_processes(processes))
    from class_management.worker import run_worker

    run_worker(settings)


@main.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help='Go down to REVISION ("base" for an empty database).')
def migrate(revision: str, *, down: bool) -> None:
    """Bring the database's schema to REVISION, by default the newest."""
    settings = _start()
    asyncio.run(_migrate(settings.database_url, revision, down=down))


async def _migrate(dsn: str, revision: str, *, down: bool) -> None:
    from asyncpg import PostgresError

    from migrations import HEAD
    from migrations.revision import current

    try:
        before = await current(dsn)
        if revision == "head" and not down and before == HEAD:
            click.echo(f"The schema is at {HEAD} already.")
            return
        from migrations import runner

        await (runner.downgrade if down else runner.upgrade)(dsn, revision)
        after = await current(dsn)
    except (OSError, PostgresError) as error:
        _fail(f"the database cannot be migrated: {error}")
    click.echo(f"The schema went from {before or 'nothing'} to {after or 'nothing'}.")


@main.group()
def topics() -> None:
    """Make the Kafka topics or look whether they are as they should be."""


@topics.command()
def create() -> None:
    """Make the topics that are missing, with their partitions and retention."""
    settings = _start()
    from agents.kafka import topics as kafka_topics
    from class_management.container import kafka_config
    from class_management.preflight import topic_specs

    specs = topic_specs(settings)
    factor = settings.topic_replication_factor
    made = _kafka(kafka_topics.create(kafka_config(settings), specs, factor))
    click.echo(f"{len(made)} topics made, {len(specs) - len(made)} were there.")


@topics.command()
def check() -> None:
    """Say which topics are missing or differ; exit with 1 if any does."""
    settings = _start()
    from agents.kafka import topics as kafka_topics
    from class_management.container import kafka_config
    from class_management.preflight import topic_specs

    found = _kafka(kafka_topics.differences(kafka_config(settings), topic_specs(settings)))
    faults = [*(f"topic {name} is missing" for name in found.missing), *found.different]
    if faults:
        _fail("; ".join(faults))
    click.echo("Every topic is as it should be.")


def _kafka(work: Coroutine[Any, Any, T]) -> T:
    from agents.kafka.topics import TopicsError

    try:
        return asyncio.run(work)
    except TopicsError as error:
        _fail(str(error))


def _start() -> Settings:
    """Read the settings and set up the logs, or end with one line."""
    try:
        settings = load_settings()
    except SettingsError as error:
        click.echo(f"class-management: {error}", err=True)
        sys.exit(EXIT_MISCONFIGURED)
    from telemetry.logs import setup_logging

    on_terminal = settings.log_format is LogFormat.AUTO and sys.stderr.isatty()
    as_text = on_terminal or settings.log_format is LogFormat.TEXT
    setup_logging(settings.log_level.value, json=not as_text)
    return settings


def _fail(message: str) -> NoReturn:
    click.echo(f"class-management: {message}", err=True)
    sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
