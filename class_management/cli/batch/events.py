"""Reads from the topics what is about a batch."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aiokafka import TopicPartition

from agents.kafka.config import KafkaConfig
from agents.kafka.log_reader import Stretches
from agents.kafka.partitioner import partition_for
from agents.kafka.topic_specs import FoundTopic
from class_management.cli.log import Log, all_of, opened
from class_management.cli.output import status_line
from class_management.cli.runner import TroubleError
from rules.story import OF_BATCH, OF_OTHERS, OF_OWNER, Step, Story, is_about, step_of

CLIENT_ID: Final = "class-management-batch"
#: A message is handled later than it came where workers lag, and Kafka has a clock of its own.
MARGIN: Final = timedelta(minutes=10)


@dataclass(slots=True)
class Events:
    """What was found, and why that may not be all."""

    steps: list[Step] = field(default_factory=list)
    trouble: str | None = None


async def read_events(kafka: KafkaConfig, story: Story, since: datetime, patience: float) -> Events:
    """Return what the topics have of a batch since an instant, read for so many seconds."""
    events = Events()
    try:
        async with asyncio.timeout(patience):
            await _read(kafka, story, since, events)
    except TroubleError as error:
        events.trouble = str(error)
    except TimeoutError:
        events.trouble = f"the topics were not read to their ends within {patience:g} s: --timeout"
    return events


async def _read(kafka: KafkaConfig, story: Story, since: datetime, events: Events) -> None:
    async with opened(kafka, CLIENT_ID) as log:
        existing = await log.topics([*OF_BATCH, *OF_OWNER, *OF_OTHERS])
        await _search(log, story, await log.since(_places(existing, story), since), events)


async def _search(log: Log, story: Story, stretches: Stretches, events: Events) -> None:
    with status_line("reading topics") as update:
        count = 0
        async for record in log.read(stretches):
            count += 1
            if is_about(story.batch_id, record.key, record.value):
                events.steps.append(step_of(record))
            update(f"reading topics: {count:,} messages, {len(events.steps)} of the batch")


def _places(existing: Mapping[str, FoundTopic], story: Story) -> set[TopicPartition]:
    """Return where something of a batch can lie."""
    owner = story.stored.owner_id if story.stored else None
    keys = dict.fromkeys(OF_BATCH, str(story.batch_id))
    if owner:
        keys |= dict.fromkeys(OF_OWNER, owner)
    return {
        *(_place_of(existing[topic], key) for topic, key in keys.items()),
        *all_of(existing[topic] for topic in OF_OTHERS),
    }


def _place_of(topic: FoundTopic, key: str) -> TopicPartition:
    return TopicPartition(topic.name, partition_for(key.encode(), range(topic.partitions)))
