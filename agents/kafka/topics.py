"""Creates topics, grows and mends those that differ from their specification, and looks at them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from agents.kafka.config import KafkaConfig
from agents.kafka.requests import ChangeSettingsRequest, TopicsRequest
from agents.kafka.topic_specs import (
    Differences,
    FoundTopic,
    Setting,
    TopicSpec,
    compare,
    together,
)
from rules.topics import TIMERS
from telemetry.logs import get_logger

REQUEST_TIMEOUT_MS: Final = 10_000
SHOWN_SECONDS: Final = 10.0
SHOWN_POLL_SECONDS: Final = 0.1

_log = get_logger(__name__)


class TopicsError(Exception):
    """Topics could not be looked at or changed; the message says which and why."""


async def create(
    kafka: KafkaConfig, wanted: Sequence[TopicSpec], replication_factor: int
) -> list[str]:
    """Create missing topics; return their names. Raises TopicsError."""
    async with _admin(kafka) as admin:
        existing = await _found(admin, [spec.name for spec in wanted])
        missing = [spec for spec in wanted if spec.name not in existing]
        new = [
            NewTopic(s.name, s.partitions, replication_factor, topic_configs=s.config)
            for s in missing
        ]
        response = await admin.create_topics(new) if new else None
    for name, code, *_ in response.topic_errors if response else []:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise TopicsError(f"topic {name}: {for_code(code).__name__}")
    return [spec.name for spec in missing]


async def recreate_changelog(
    kafka: KafkaConfig,
    wanted: Sequence[TopicSpec],
    found: Mapping[str, FoundTopic],
    replication_factor: int,
) -> bool:
    """Create the changelog if only that is missing: its table is rebuilt from PostgreSQL.

    If other topics are missing too, the service was never set up, or somebody has to look; that is
    left to `class-management topics create`.
    """
    changelog = wanted[-1].name
    if [spec.name for spec in wanted if spec.name not in found] != [changelog]:
        return False
    [*_, spec] = together(wanted, found[TIMERS].partitions)
    try:
        await create(kafka, [spec], replication_factor)
    except TopicsError:
        return False
    _log.warning("the table's changelog was missing, made anew", topic=changelog)
    return True


async def grow(kafka: KafkaConfig, counts: Mapping[str, int]) -> None:
    """Give topics more partitions, all in one request. Raises TopicsError."""
    if not counts:
        return
    wanted = {name: NewPartitions(count) for name, count in counts.items()}
    async with _admin(kafka) as admin:
        try:
            await admin.create_partitions(wanted)
        except IncompatibleBrokerVersion as error:
            raise TopicsError(
                "this broker cannot give a topic more partitions: delete and create the topics"
            ) from error


async def mend(kafka: KafkaConfig, settings: Iterable[Setting]) -> None:
    """Set what differs, and nothing else. Raises TopicsError."""
    changes: dict[str, dict[str, str]] = {}
    for setting in settings:
        changes.setdefault(setting.topic, {})[setting.name] = setting.wanted
    if not changes:
        return
    async with _admin(kafka) as admin:
        response = await _send(admin, ChangeSettingsRequest(changes))
    for code, message, _, topic in response.responses:
        if code:
            raise TopicsError(f"topic {topic}: {message or for_code(code).__name__}")


async def differences(kafka: KafkaConfig, wanted: Sequence[TopicSpec]) -> Differences:
    """Compare the topics with their specifications. Raises TopicsError if Kafka is away."""
    async with _admin(kafka) as admin:
        found = await _found(admin, [spec.name for spec in wanted])
        settings = await _settings(admin, found)
    there = {n: replace(t, settings=settings[n]) for n, t in found.items() if n in settings}
    return compare(wanted, there)


async def shown(
    kafka: KafkaConfig, wanted: Sequence[TopicSpec], done: Callable[[Differences], bool]
) -> Differences:
    """Return the differences once the brokers show what was changed, or after SHOWN_SECONDS.

    The controller knows a change before they do. Raises TopicsError.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + SHOWN_SECONDS
    while not done(now := await differences(kafka, wanted)) and clock() < until:  # noqa: ASYNC110  # Kafka announces nothing
        await asyncio.sleep(SHOWN_POLL_SECONDS)
    return now


async def found(kafka: KafkaConfig, names: Collection[str]) -> dict[str, FoundTopic]:
    """Return those of these topics that are there, without their settings. Raises TopicsError."""
    async with _admin(kafka) as admin:
        return await _found(admin, names)


async def _found(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, FoundTopic]:
    response = await _send(admin, TopicsRequest(list(names)))
    topics: dict[str, FoundTopic] = {}
    for code, name, topic_id, _, partitions, *_ in response.topics:
        if partitions:
            replicas = min(len(partition[4]) for partition in partitions)
            topics[name] = FoundTopic(name, len(partitions), replicas, topic_id)
        elif for_code(code) is TopicAuthorizationFailedError:
            raise TopicsError(f"topic {name}: {for_code(code).__name__}")
    return topics


async def _settings(
    admin: AIOKafkaAdminClient, names: Collection[str]
) -> dict[str, Mapping[str, str] | None]:
    """Return the settings that hold, the broker's own included; None where we may not know."""
    # Asked for single settings, the embedded broker ends the connection.
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    settings: dict[str, Mapping[str, str] | None] = {}
    for response in await admin.describe_configs(resources) if resources else []:
        for code, _, _, name, entries in response.resources:
            error = for_code(code)
            if error is UnknownTopicOrPartitionError:  # deleted since it was found
                continue
            if code and error is not TopicAuthorizationFailedError:
                raise TopicsError(f"topic {name}: {error.__name__}")
            settings[name] = None if code else {entry[0]: entry[1] for entry in entries}
    return settings


async def _send(admin: AIOKafkaAdminClient, request: Any) -> Any:  # noqa: ANN401  # aiokafka's
    """Send a request of our own to any broker, which passes it on where it has to."""
    client = admin._client  # noqa: SLF001  # the admin client has no way to send other requests
    return await client.send(client.get_random_node(), request)


@asynccontextmanager
async def _admin(kafka: KafkaConfig) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect. Kafka's errors are raised as TopicsError."""
    admin = AIOKafkaAdminClient(
        **kafka.client_options(),
        client_id="class-management-topics",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise TopicsError(f"Kafka at {kafka.bootstrap_servers}: {error}") from error
    finally:
        await admin.close()
