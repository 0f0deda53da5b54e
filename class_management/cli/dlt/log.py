"""Connects to the `.dlt` topics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from agents.dead_letters.log import DeadLetterLog
from agents.kafka.config import KafkaConfig
from class_management.cli.log import opened

CLIENT_ID: Final = "class-management-dlt"


@asynccontextmanager
async def reading(kafka: KafkaConfig) -> AsyncIterator[DeadLetterLog]:
    """Connect to Kafka. Raises TroubleError, also for a TopicLogError in the block."""
    async with opened(kafka, CLIENT_ID) as log:
        yield DeadLetterLog(log)
