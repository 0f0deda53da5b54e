"""Which partition a key is in."""

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a key."""
    hashed: int = murmur2(key) & 0x7FFFFFFF
    return hashed % partitions
