"""`show` over the store and Kafka."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import click

from agents.kafka.batch_events import Search, read_events, search_for
from class_management.cli.batch import report
from class_management.cli.log import reader
from class_management.cli.output import print_json, status_line
from class_management.cli.runner import EXIT_NO, EXIT_OK, EXIT_TROUBLE, warn
from class_management.cli.store import open_store
from class_management.kafka import kafka_config
from class_management.settings import Settings
from rules.story import Events, Named, Story
from store.protocols.stories import StoryProtocol

#: A correlation id is looked for in everything.
COMMAND_SECONDS: Final = 300.0
CLIENT_ID: Final = "class-management-batch"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be shown; `patience` in seconds."""

    wanted: UUID
    essays: bool
    events: bool
    since: datetime | None
    patience: float
    as_json: bool


async def show(settings: Settings, request: Request) -> int:
    """Print the story of each batch that an id names. Raises TroubleError."""
    found = await _stories(settings, request.wanted)
    if not found:
        warn(
            f"no batch, essay or correlation id {request.wanted}; its messages may be dead "
            f"letters: class-management dlt list --key {request.wanted}"
        )
        return EXIT_NO
    complete = True
    for number, (named, story) in enumerate(found):
        events = await _events(settings, story, request)
        complete = complete and events.trouble is None
        if events.trouble:
            warn(f"not all events of batch {story.batch_id}: {events.trouble}")
        if request.as_json:
            print_json(report.document(named, story, events))
            continue
        if number:
            click.echo("")
        report.story(named, story, events, with_essays=request.essays)
    return EXIT_OK if complete else EXIT_TROUBLE


async def _events(settings: Settings, story: Story, request: Request) -> Events:
    if not request.events:
        return Events()
    search = search_for(story, settings.policy.suggestion_retry, datetime.now(UTC))
    if request.since is not None:
        search = Search(story, request.since)
    with status_line("reading topics") as update:

        def tell(count: int, found: int) -> None:
            update(f"reading topics: {count:,} messages, {found} of the batch")

        kafka, own = kafka_config(settings), reader(CLIENT_ID)
        events = await read_events(kafka, own, search, request.patience, tell)
    if events.is_cut_off:
        events.trouble = f"{events.trouble}: --timeout"
    return events


async def _stories(settings: Settings, wanted: UUID) -> list[tuple[Named, Story]]:
    in_memory = "only the worker itself knows its batches"
    async with open_store(settings, in_memory, COMMAND_SECONDS) as container:
        store = container.get(StoryProtocol)
        found = [(named, await store.story(named.batch_id)) for named in await store.named(wanted)]
    return [(named, story) for named, story in found if story is not None]
