"""Maps keys to partitions as every other Kafka client does."""

import random
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from tables.partitioning import Partitioning

_POSITIVE: Final = 0x7FFFFFFF

# Of MurmurHash2, as Kafka uses it (org.apache.kafka.common.utils.Utils.murmur2).
_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF

#: Cached hashes: the keys of teachers and classes recur.
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
    """Return a key's MurmurHash2 without its sign, in a third of the time of aiokafka's by bytes.

    Nothing is cut to a word before its upper bits are in the way: they change none below.
    """
    whole = len(key) // 4
    hashed = _SEED ^ len(key)
    for word in struct.unpack_from(f"<{whole}I", key):
        mixed = word * _FACTOR & _WORD
        hashed = (hashed * _FACTOR ^ (mixed ^ mixed >> 24) * _FACTOR) & _WORD
    if rest := key[4 * whole :]:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * _FACTOR & _WORD
    hashed = (hashed ^ hashed >> 13) * _FACTOR & _WORD
    return (hashed ^ hashed >> 15) & _POSITIVE
