"""Reads from the topics what is about a batch."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiokafka import TopicPartition

from agents.kafka.config import KafkaConfig
from agents.kafka.partitioner import partition_for
from agents.kafka.topic_log import Reader, TopicLogError, all_of, opened
from agents.kafka.topic_specs import FoundTopic
from rules.story import OF_BATCH, OF_OTHERS, OF_OWNER, Events, Story, is_about, step_of

#: A message is handled later than it came where workers lag, and Kafka has a clock of its own.
MARGIN: Final = timedelta(minutes=10)

#: Called with how many messages have been read, and how many of them are of the batch.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: what is about a batch, written at an instant or later."""

    story: Story
    since: datetime


def search_for(story: Story, retry: timedelta, now: datetime) -> Search:
    """Look for all of a batch; `retry` is how long its messages may have waited for it."""
    return Search(story, (story.begins or now) - retry - MARGIN)


async def read_events(
    kafka: KafkaConfig,
    reader: Reader,
    search: Search,
    patience: float,
    on_progress: OnProgress = lambda _read, _found: None,
) -> Events:
    """Return what the topics have of a batch, read for so many seconds."""
    events = Events()
    try:
        async with asyncio.timeout(patience):
            await _read(kafka, reader, search, events, on_progress)
    except TopicLogError as error:
        events.trouble = str(error)
    except TimeoutError:
        events.trouble = f"the topics were not read to their ends within {patience:g} s"
        events.is_cut_off = True
    return events


async def _read(
    kafka: KafkaConfig, reader: Reader, search: Search, events: Events, on_progress: OnProgress
) -> None:
    count = 0
    async with opened(kafka, reader) as log:
        existing = await log.topics([*OF_BATCH, *OF_OWNER, *OF_OTHERS])
        stretches = await log.since(_places(existing, search.story), search.since)
        async for record in log.read(stretches):
            count += 1
            if is_about(search.story.batch_id, record.key, record.value):
                events.steps.append(step_of(record))
            on_progress(count, len(events.steps))


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
