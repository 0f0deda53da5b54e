"""Which partition a key belongs to, as for every other Kafka client."""

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aiokafka.partitioner import murmur2

from tables.partitioning import Partitioning

_POSITIVE: Final = 0x7FFFFFFF

#: Keys whose hash is kept: it takes 7 us, and those of teachers and classes come again and again.
_KEPT: Final = 4096


def partition_for(key: bytes | None, partitions: Sequence[int]) -> int:
    """Return the partition of a key among all of a topic's, ascending; any for None."""
    if key is None:
        return random.choice(partitions)  # noqa: S311  # no secret
    return partitions[_kept_hash(key) % len(partitions)]


def partitioning(count: int) -> Partitioning:
    """Return in which of so many partitions a batch's timers are: their key is its id."""
    return Partitioning(count, lambda batch_id: _hash(str(batch_id).encode()) % count)


@lru_cache(_KEPT)
def _kept_hash(key: bytes) -> int:
    return _hash(key)


def _hash(key: bytes) -> int:
    hashed: int = murmur2(key) & _POSITIVE
    return hashed
