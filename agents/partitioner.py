"""Kafka's default partitioner, in a third of the time that aiokafka's takes."""

import random
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF

#: Keys whose hash is kept: those of teachers come again and again.
_KEPT: Final = 4096


def partition_for(key: bytes | None, partitions: Sequence[int]) -> int:
    """Return the partition of a key among all of a topic's, ascending; any for None."""
    if key is None:
        return random.choice(partitions)  # noqa: S311  # no secret
    return partitions[(_murmur2(key) & _POSITIVE) % len(partitions)]


@lru_cache(_KEPT)
def _murmur2(key: bytes) -> int:
    """Hash a key as Kafka's clients do: 32 bits, unsigned."""
    words = len(key) // 4
    h = _SEED ^ len(key)
    for word in struct.unpack_from(f"<{words}I", key):
        k = word * _MIX & _MASK
        k = (k ^ k >> 24) * _MIX & _MASK
        h = h * _MIX & _MASK ^ k
    if rest := key[words * 4 :]:
        h = (h ^ int.from_bytes(rest, "little")) * _MIX & _MASK
    h = (h ^ h >> 13) * _MIX & _MASK
    return h ^ h >> 15
