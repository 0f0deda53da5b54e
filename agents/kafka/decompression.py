"""Decompresses record batches within bounds: a small batch may unpack to gigabytes.

aiokafka's own functions have no limit.
"""

import mmap
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import cramjam
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

#: The most that the records of one batch may take: eight of the largest messages.
MOST_BYTES: Final = 64 * 1024 * 1024

#: What Java's clients put before snappy's blocks, each of which follows its length.
_XERIAL: Final = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
_BLOCK_LENGTH: Final = struct.Struct(">i")

#: Fills a buffer and returns how much of it; raises cramjam.DecompressionError if it is too small.
_Into: TypeAlias = Callable[[Any, Any], int]


def bound_decompression() -> None:
    """Make aiokafka decompress with these functions."""
    for batch in (DefaultRecordBatch, LegacyRecordBatch):
        module: Any = sys.modules[batch.__module__]
        module.gzip_decode = gunzip
        module.snappy_decode = unsnap
        module.lz4_decode = unlz4
    sys.modules[DefaultRecordBatch.__module__].zstd_decode = unzstd  # type: ignore[attr-defined]  # as above


def gunzip(payload: Any) -> bytes:  # noqa: ANN401  # bytes or a view of them, as aiokafka passes
    """Decompress gzip. Raises ValueError."""
    return _unpacked(cramjam.gzip.decompress_into, payload)


def unlz4(payload: Any) -> bytes:  # noqa: ANN401
    """Decompress an LZ4 frame. Raises ValueError."""
    return _unpacked(cramjam.lz4.decompress_into, payload)


def unzstd(payload: Any) -> bytes:  # noqa: ANN401
    """Decompress Zstandard. Raises ValueError."""
    return _unpacked(cramjam.zstd.decompress_into, payload)


def unsnap(payload: Any) -> bytes:  # noqa: ANN401
    """Decompress snappy, in one block or in Java's form of several. Raises ValueError."""
    packed = bytes(payload)
    if not packed.startswith(_XERIAL):
        return _unpacked(cramjam.snappy.decompress_raw_into, packed)
    return _unpacked(_blocks_into, packed[len(_XERIAL) :])


def _blocks_into(packed: bytes, room: memoryview) -> int:
    """Decompress snappy's blocks one after another; return the sum of their sizes."""
    at = size = 0
    while at < len(packed):
        (length,) = _BLOCK_LENGTH.unpack_from(packed, at)
        at += _BLOCK_LENGTH.size
        if length <= 0:
            raise ValueError("a block without a length")
        size += cramjam.snappy.decompress_raw_into(packed[at : at + length], room[size:])
        at += length
    return size


def _unpacked(into: _Into, packed: Any) -> bytes:  # noqa: ANN401
    # The pages of an anonymous map take memory only once they are written.
    with mmap.mmap(-1, MOST_BYTES) as room:
        try:
            with memoryview(room) as view:
                size = into(packed, view)
        except (cramjam.DecompressionError, struct.error) as error:
            raise ValueError(str(error)) from error
        return room[:size]
