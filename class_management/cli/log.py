"""Reads topics for commands: they say what they wait for, and what is left out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.kafka import topic_log
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_log import Reader, TopicLog, TopicLogError
from class_management.cli.runner import TroubleError, answering, connect_seconds, warn


def reader(client_id: str) -> Reader:
    """Return how a command reads."""
    return Reader(client_id, connect_seconds(), answering, warn)


@asynccontextmanager
async def opened(kafka: KafkaConfig, client_id: str) -> AsyncIterator[TopicLog]:
    """Connect to Kafka. Raises TroubleError, also for a TopicLogError in the block."""
    try:
        async with topic_log.opened(kafka, reader(client_id)) as log:
            yield log
    except TopicLogError as error:
        raise TroubleError(str(error)) from error
