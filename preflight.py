"""What a worker looks at before it starts."""

import asyncio
from typing import Final

import asyncpg

from agents import topics
from agents.topics import TopicsError, TopicSpec
from migrations import HEAD, revision
from providers import kafka_config
from settings import Settings
from tables.names import changelog_topic
from telemetry.logs import get_logger

PAUSE_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 2.0

_log = get_logger(__name__)


async def preflight(settings: Settings) -> str | None:
    """Wait for Kafka, look at the topics and the schema; return why a start makes no sense.

    A database that is away is no reason: the service starts and answers 503 until it is back.
    """
    fault = await _schema_fault(settings)
    if fault is None:
        await _look_at_topics(settings)
    return fault


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return every topic that a worker with these settings uses."""
    changelog = changelog_topic(settings.kafka_consumer_group)
    return topics.specs(settings.topic_partitions, changelog)


async def _schema_fault(settings: Settings) -> str | None:
    if settings.use_mock_repository:
        return None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await revision.current(settings.database_url)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        _log.warning("database away at start", exc_info=error)
        return None
    if found is None or found < HEAD:
        return f"the schema is at {found or 'nothing'}, not {HEAD}: run class-management migrate"
    return None


async def _look_at_topics(settings: Settings) -> None:
    specs = topic_specs(settings)
    kafka = kafka_config(settings)
    while True:
        try:
            found = await topics.differences(kafka, specs)
        except TopicsError as error:
            _log.warning("Kafka away at start, waiting", reason=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        for difference in found:
            _log.warning("topics differ, see class-management topics create", found=difference)
        return
