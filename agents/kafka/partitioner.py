"""Maps keys to partitions as every other Kafka client does."""

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aiokafka.partitioner import murmur2

from tables.partitioning import Partitioning

_POSITIVE: Final = 0x7FFFFFFF

#: Cached hashes: each takes 7 us, and the keys of teachers and classes recur.
_KEPT: Final = 4096


def partition_for(key: bytes | None, partitions: Sequence[int]) -> int:
    """Return a key's partition among all of a topic's, ascending; a random one for None."""
    if key is None:
        return random.choice(partitions)  # noqa: S311  # no secret
    return partitions[_kept_hash(key) % len(partitions)]


def partitioning(count: int) -> Partitioning:
    """Return how batches map to `count` partitions: the key of a batch's timers is its id."""
    return Partitioning(count, lambda batch_id: _hash(str(batch_id).encode()) % count)


@lru_cache(_KEPT)
def _kept_hash(key: bytes) -> int:
    return _hash(key)


def _hash(key: bytes) -> int:
    hashed: int = murmur2(key) & _POSITIVE
    return hashed
