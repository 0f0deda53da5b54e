"""Changes the settings of topics while the service runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

#: What `class-management topics create` gives a topic.
AS_MADE: Final = {"max.message.bytes": str(8 * 1024 * 1024), "retention.ms": "604800000"}
#: No event is as small as that.
TAKES_NOTHING: Final = "100"


@asynccontextmanager
async def refusing(bootstrap_servers: str, topic: str) -> AsyncIterator[None]:
    """Have the broker refuse every message for a topic."""
    await alter(bootstrap_servers, topic, AS_MADE | {"max.message.bytes": TAKES_NOTHING})
    try:
        yield
    finally:
        await alter(bootstrap_servers, topic, AS_MADE)


async def alter(bootstrap_servers: str, topic: str, settings: dict[str, str]) -> None:
    """Give a topic these settings, and the broker's own for all others."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
    finally:
        await admin.close()
