"""The checks before a worker starts."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from agents.kafka import credentials, topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import TopicSpec, specs, split
from agents.kafka.topics import TopicsError
from class_management.kafka import kafka_config
from class_management.settings import PREFIX, Settings, SettingsError
from migrations import HEAD, revision
from tables.names import changelog_topic
from telemetry.logs import get_logger

PAUSE_SECONDS: Final = 0.2
CONNECT_SECONDS: Final = 2.0

_log = get_logger(__name__)


async def preflight(settings: Settings) -> Settings:
    """Wait until topics and schema exist; return the settings with as many partitions as there are.

    It does not wait for an unreachable database: the service answers 503 until it is back. Raises
    SettingsError where waiting would not help: a server refuses who the service says it is, or the
    topics do not fit each other.
    """
    if not settings.role.has_streams:
        await _await_schema(settings)
        return settings
    waits = _await_topics(settings), _await_schema(settings), _check_redis(settings.redis_url)
    partitions, *_ = await asyncio.gather(*waits)
    return settings.model_copy(update={"topic_partitions": partitions})


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return every topic that a worker with these settings uses."""
    changelog = changelog_topic(settings.kafka_consumer_group)
    return specs(settings.topic_partitions, changelog)


async def _await_schema(settings: Settings) -> None:
    if settings.use_mock_repository:
        return
    wait = _Wait("class-management migrate")
    while fault := await _schema_fault(settings.database_url):
        await wait.again(fault)


async def _schema_fault(dsn: str) -> str | None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await revision.current(dsn)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InterfaceError) as error:
        raise SettingsError(f"{PREFIX}DATABASE_URL: {_first_line(error)}") from None
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        _log.warning("database away at start", exc_info=error)
        return None
    behind = found is None or found < HEAD
    return f"the schema is at {found or 'nothing'}, not at {HEAD}" if behind else None


async def _await_topics(settings: Settings) -> int:
    """Return how many partitions the topics of the table have, once all topics are there."""
    kafka, wanted = kafka_config(settings), topic_specs(settings)
    changelog = wanted[-1].name
    wait = _Wait("class-management topics create")
    while True:
        try:
            found = await topics.found(kafka, [spec.name for spec in wanted])
        except TopicsError as error:
            if refused := await credentials.refusal(kafka):
                raise SettingsError(_sasl_refused(refused)) from None
            await wait.again(str(error))
            continue
        if fault := split(found, changelog):
            raise SettingsError(fault)
        missing = [spec.name for spec in wanted if spec.name not in found]
        if not missing:
            break
        if await topics.recreate_changelog(kafka, wanted, found, settings.topic_replication_factor):
            continue
        await wait.again(f"{len(missing)} topics are missing, {missing[0]} is one")
    await _log_differences(kafka, wanted)
    return found[changelog].partitions


async def _log_differences(kafka: KafkaConfig, wanted: Sequence[TopicSpec]) -> None:
    """Log what is not as it should be, as far as we may know it: the worker runs all the same."""
    try:
        found = await topics.differences(kafka, wanted)
    except TopicsError as error:
        _log.info("settings of topics not compared", reason=str(error))
        return
    for line in [*found.warnings, *map(str, found.settings)]:
        _log.warning("a topic is not as it should be", found=line)


async def _check_redis(url: str) -> None:
    """Raise SettingsError if Redis refuses the password, or the URL has what cannot be read.

    A Redis that is away is none of the start's business.
    """
    try:
        async with Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS) as redis:
            async with asyncio.timeout(CONNECT_SECONDS):
                await redis.ping()
    except (AuthenticationError, ValueError, TypeError) as error:
        raise SettingsError(f"{PREFIX}REDIS_URL: {_first_line(error)}") from None
    except (RedisError, OSError):
        return


def _sasl_refused(why: str) -> str:
    names = [f"{PREFIX}KAFKA_SASL_{part}" for part in ("USERNAME", "PASSWORD", "MECHANISM")]
    return f"{' and '.join(names)}: Kafka refuses them: {why}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _Wait:
    """Waits between checks, and logs each reason once."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._logged = ""

    async def again(self, reason: str) -> None:
        if reason != self._logged:
            _log.warning("waiting to start", reason=reason, mended_by=self._remedy)
            self._logged = reason
        await asyncio.sleep(PAUSE_SECONDS)
