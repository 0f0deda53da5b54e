"""The checks before a worker starts."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from agents.kafka import credentials, topics
from agents.kafka.topics import TopicsError, TopicSpec
from class_management.kafka import kafka_config
from class_management.settings import PREFIX, Settings, SettingsError
from migrations import HEAD, revision
from tables.names import changelog_topic
from telemetry.logs import get_logger

PAUSE_SECONDS: Final = 0.2
CONNECT_SECONDS: Final = 2.0

_log = get_logger(__name__)


async def preflight(settings: Settings) -> None:
    """Wait until topics and schema exist, and log topics that differ from their specification.

    It does not wait for an unreachable database: the service answers 503 until it is back. Raises
    SettingsError where a server refuses who the service says it is: waiting would not help.
    """
    waits = [_await_schema(settings)]
    if settings.role.has_streams:
        waits += [_await_topics(settings), _check_redis(settings.redis_url)]
    await asyncio.gather(*waits)


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return every topic that a worker with these settings uses."""
    changelog = changelog_topic(settings.kafka_consumer_group)
    return topics.specs(settings.topic_partitions, changelog)


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


async def _await_topics(settings: Settings) -> None:
    kafka = kafka_config(settings)
    wait = _Wait("class-management topics create")
    while True:
        try:
            found = await topics.differences(kafka, topic_specs(settings))
        except TopicsError as error:
            if refused := await credentials.refusal(kafka):
                raise SettingsError(_sasl_refused(refused)) from None
            await wait.again(str(error))
            continue
        if not found.missing:
            break
        if await _recreate_changelog(settings, found.missing):
            continue
        await wait.again(f"{len(found.missing)} topics are missing, {found.missing[0]} is one")
    for difference in found.different:
        _log.warning("a topic is not as it should be", found=difference)


async def _recreate_changelog(settings: Settings, missing: Sequence[str]) -> bool:
    """Create the changelog if only that is missing: its table is rebuilt from PostgreSQL.

    If other topics are missing too, the service was never set up; that is left to the setup.
    """
    changelog = changelog_topic(settings.kafka_consumer_group)
    if list(missing) != [changelog]:
        return False
    wanted = [spec for spec in topic_specs(settings) if spec.name == changelog]
    try:
        await topics.create(kafka_config(settings), wanted, settings.topic_replication_factor)
    except TopicsError:
        return False
    _log.warning("the table's changelog was missing, made anew", topic=changelog)
    return True


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
