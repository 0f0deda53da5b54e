"""`class-management topics`: the topics that the service needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from class_management.cli.options import connect_option
from class_management.cli.runner import EXIT_NO, EXIT_OK, TroubleError, answering, run, warn
from class_management.settings import Settings


@click.group()
def topics() -> None:
    """Make the Kafka topics or look whether they are as they should be."""


@topics.command()
@connect_option
def create() -> None:
    """Make the topics that are missing, with their partitions and retention.

    Exit codes: 0; 2 for trouble.
    """
    run(_create)


@topics.command()
@connect_option
def check() -> None:
    """Say which topics are missing or differ; exit with 1 if any does.

    Exit codes: 0; 1 where one is missing or differs; 2 for trouble.
    """
    run(_check)


async def _create(settings: Settings) -> int:
    from agents.kafka import topics as kafka_topics
    from class_management.kafka import kafka_config
    from class_management.preflight import topic_specs

    specs = topic_specs(settings)
    factor = settings.topic_replication_factor
    async with _talking(settings):
        made = await kafka_topics.create(kafka_config(settings), specs, factor)
    click.echo(f"{len(made)} topics made, {len(specs) - len(made)} were there.")
    return EXIT_OK


async def _check(settings: Settings) -> int:
    from agents.kafka import topics as kafka_topics
    from class_management.kafka import kafka_config
    from class_management.preflight import topic_specs

    async with _talking(settings):
        found = await kafka_topics.differences(kafka_config(settings), topic_specs(settings))
    faults = [*(f"topic {name} is missing" for name in found.missing), *found.different]
    if faults:
        warn("; ".join(faults))
        return EXIT_NO
    click.echo("Every topic is as it should be.")
    return EXIT_OK


@asynccontextmanager
async def _talking(settings: Settings) -> AsyncIterator[None]:
    from agents.kafka.topics import TopicsError

    try:
        async with answering(f"Kafka at {settings.kafka_bootstrap_servers}"):
            yield
    except TopicsError as error:
        raise TroubleError(str(error)) from error
