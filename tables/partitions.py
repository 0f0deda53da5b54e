"""Which partition a batch's timer messages are in."""

from uuid import UUID

from aiokafka.partitioner import murmur2


def partition_of(batch_id: UUID, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives to a batch's id as a key."""
    hashed: int = murmur2(str(batch_id).encode()) & 0x7FFFFFFF
    return hashed % partitions
