"""Faults of Kafka's own housekeeping."""

from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from faults.injectors.scene import Fault, Scene
from rules.topics import TIMERS
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


FAULTS = {"changelog_compaction": Fault("topics", compaction)}
