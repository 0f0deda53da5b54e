"""`class-management topics`: the topics that the service needs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from class_management.cli.options import connect_option
from class_management.cli.runner import EXIT_NO, EXIT_OK, TroubleError, answering, run, warn
from class_management.settings import Settings

if TYPE_CHECKING:
    from agents.kafka.topic_specs import Differences, Setting

_consumed = click.option(
    "--consumed",
    is_flag=True,
    help="Change topics that other services own, too: suggestions and commands.",
)


@click.group()
def topics() -> None:
    """Make and check the Kafka topics."""


@topics.command()
@_consumed
@connect_option
def create(*, consumed: bool) -> None:
    """Make and mend topics.

    Made are those that are missing, mended those that this service publishes or keeps. They get the
    settings that `check` asks for, and as many partitions as TOPIC_PARTITIONS says where they have
    fewer. Never fewer: Kafka takes none away. Before you give topics more partitions, read "More
    partitions" in docs/operating.md.

    Exit codes: 0; 2 for trouble.
    """
    run(lambda settings: _create(settings, consumed=consumed))


@topics.command()
@connect_option
def check() -> None:
    """Say which topics are missing or differ.

    There is a line for each. What counts is what holds, the defaults of the brokers included. Lines
    on standard error are warnings, and change nothing about the exit code.

    Exit codes: 0; 1 where one is missing or differs; 2 for trouble.
    """
    run(_check)


async def _create(settings: Settings, *, consumed: bool) -> int:
    from agents.kafka import topics as kafka_topics
    from agents.kafka.topic_specs import agreed
    from class_management.kafka import kafka_config
    from class_management.preflight import topic_specs

    kafka, specs = kafka_config(settings), topic_specs(settings)
    with _topics_trouble():
        async with answering(_at(settings)):
            there = await kafka_topics.found(kafka, [spec.name for spec in specs])
        wanted = agreed(specs, there)
        made = await kafka_topics.create(kafka, wanted, settings.topic_replication_factor)
        click.echo(f"{len(made)} topics made, {len(wanted) - len(made)} were there.")
        now = await kafka_topics.shown(kafka, wanted, lambda now: not now.missing)
        ours = {spec.name for spec in wanted if spec.own or consumed}
        mended = [setting for setting in now.settings if setting.topic in ours]
        await kafka_topics.mend(kafka, mended)
        for setting in mended:
            click.echo(f"topic {setting.topic}: {setting.name} set to {setting.wanted}")
        counts = {name: count for name, count in now.few.items() if name in ours}
        await kafka_topics.grow(kafka, counts)
        for name, count in counts.items():
            click.echo(f"topic {name}: {count} partitions now")
        await kafka_topics.shown(kafka, wanted, lambda now: _is_done(now, mended, counts))
    if wanted[-1].name in counts:
        click.echo("Restart the workers: the table has other partitions now.")
    for setting in now.settings:
        if setting not in mended:
            warn(f"{setting}: topics create --consumed sets it")
    return EXIT_OK


def _is_done(now: "Differences", mended: Sequence["Setting"], counts: Mapping[str, int]) -> bool:
    return not (set(mended) & set(now.settings) or counts.keys() & now.few.keys())


async def _check(settings: Settings) -> int:
    from agents.kafka import topics as kafka_topics
    from class_management.kafka import kafka_config
    from class_management.preflight import topic_specs

    with _topics_trouble():
        async with answering(_at(settings)):
            found = await kafka_topics.differences(kafka_config(settings), topic_specs(settings))
    for line in found.warnings:
        warn(line)
    for name in found.unknown:
        warn(f"topic {name}: its settings cannot be read, DescribeConfigs is not allowed")
    for line in found.faults:
        click.echo(line)
    if found.faults:
        return EXIT_NO
    click.echo("Every topic is as it should be.")
    return EXIT_OK


@contextmanager
def _topics_trouble() -> Iterator[None]:
    from agents.kafka.topics import TopicsError

    try:
        yield
    except TopicsError as error:
        raise TroubleError(str(error)) from error


def _at(settings: Settings) -> str:
    return f"Kafka at {settings.kafka_bootstrap_servers}"
