"""Faults of the topics: Kafka's own housekeeping, and settings that refuse messages."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from devstack.rig.topics import refusing
from devstack.worker import COMMAND
from faults.injectors.scene import Fault, Scene
from faults.rig import Worker
from rules.topics import CLASS_UPDATED, TIMERS
from tables.names import changelog_topic

GROUP: Final = "class-management-service"
#: A new segment each second and no dirty share: the cleaner compacts as soon as it can.
EAGER: Final = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "100",
}
#: This often in a row nothing is refused any more.
QUIET_LOOKS: Final = 3
LOOK_SECONDS: Final = 2.0
TIMERS_EAGER: Final = {"segment.ms": "1000", "max.message.bytes": str(8 * 1024 * 1024)}


async def compaction(scene: Scene) -> int:
    """Make Kafka compact the table's changelog continuously, and restart a worker."""
    changelog = changelog_topic(GROUP)
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.rig.bootstrap_servers)
    await admin.start()
    try:
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, changelog, EAGER),
                ConfigResource(ConfigResourceType.TOPIC, TIMERS, TIMERS_EAGER),
            ]
        )
    finally:
        await admin.close()
    await scene.hold(20, 40)
    return 1


async def refusal(scene: Scene) -> int:
    """Have the broker refuse every event of one topic, and then have them sent again.

    Returns how many were refused.
    """
    async with refusing(scene.rig.bootstrap_servers, CLASS_UPDATED):
        await scene.hold(5, 15)
    refused = 0
    quiet = 0
    while quiet < QUIET_LOOKS:
        put_back = await _retry_all(scene.worker())
        refused += put_back or 0
        quiet = quiet + 1 if put_back == 0 else 0
        await asyncio.sleep(LOOK_SECONDS)
    return refused


async def _retry_all(worker: Worker) -> int | None:
    """Put everything back by the operator's command; return how many were refused, if it works."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *("outbox", "retry", "--all"),
        env=worker.plain_environ,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return int(out.split()[0]) if process.returncode == 0 else None


FAULTS = {
    "changelog_compaction": Fault("topics", compaction),
    "messages_refused": Fault("messages", refusal),
}
