"""Creates the topics and reports those that differ from their specification."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from rules import topics
from rules.sizes import DEAD_LETTER_HEADERS_BYTES

_WEEK_MS: Final = str(7 * 24 * 3600 * 1000)
_MONTH_MS: Final = str(30 * 24 * 3600 * 1000)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """The specification of a topic."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


class TopicsError(Exception):
    """Topics could not be created; the message says which and why."""


def specs(partitions: int, changelog: str) -> list[TopicSpec]:
    """Return every topic that the service uses.

    Dead letters stay a month, so that a person has time to look. The timers topic has as many
    partitions as the changelog, because the table lives where its messages are read.
    """
    kept = {topic: _config(_WEEK_MS, MAX_MESSAGE_BYTES) for topic in topics.ALL}
    larger = MAX_MESSAGE_BYTES + DEAD_LETTER_HEADERS_BYTES
    kept |= {topic: _config(_MONTH_MS, larger) for topic in topics.DEAD_LETTER}
    return [
        *(TopicSpec(topic, partitions, config) for topic, config in kept.items()),
        TopicSpec(changelog, partitions, {"cleanup.policy": "compact"}),
    ]


def _config(retention_ms: str, max_bytes: int) -> dict[str, str]:
    return {"retention.ms": retention_ms, "max.message.bytes": str(max_bytes)}


async def create(
    kafka: KafkaConfig, wanted: Sequence[TopicSpec], replication_factor: int
) -> list[str]:
    """Create missing topics; return their names. Raises TopicsError."""
    admin = AIOKafkaAdminClient(**kafka.client_options(), client_id="class-management-topics")
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [spec for spec in wanted if spec.name not in existing]
        new = [
            NewTopic(s.name, s.partitions, replication_factor, topic_configs=s.config)
            for s in missing
        ]
        response = await admin.create_topics(new) if new else None
    except (KafkaError, OSError) as error:
        raise TopicsError(f"Kafka at {kafka.bootstrap_servers}: {error}") from error
    finally:
        await admin.close()
    for name, code, *_ in response.topic_errors if response else []:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise TopicsError(f"topic {name}: {for_code(code).__name__}")
    return [spec.name for spec in missing]


@dataclass(frozen=True, slots=True)
class Differences:
    """The names of missing topics, and a sentence for each with another number of partitions."""

    missing: list[str]
    different: list[str]


async def differences(kafka: KafkaConfig, wanted: Sequence[TopicSpec]) -> Differences:
    """Compare the topics with their specifications. Raises TopicsError if Kafka is away."""
    found = await partitions(kafka)
    return Differences(
        [spec.name for spec in wanted if spec.name not in found],
        [
            f"topic {spec.name} has {found[spec.name]} partitions, not {spec.partitions}"
            for spec in wanted
            if found.get(spec.name, spec.partitions) != spec.partitions
        ],
    )


async def partitions(kafka: KafkaConfig) -> dict[str, int]:
    """Return how many partitions each topic has. Raises TopicsError if Kafka is away."""
    admin = AIOKafkaAdminClient(**kafka.client_options(), client_id="class-management-topics")
    try:
        await admin.start()
        described = await admin.describe_topics()
    except (KafkaError, OSError) as error:
        raise TopicsError(f"Kafka at {kafka.bootstrap_servers}: {error}") from error
    finally:
        await admin.close()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}
