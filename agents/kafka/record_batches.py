"""Takes fetched data apart into record batches, and tells which of them cannot be decoded.

aiokafka decodes as it goes along, so that a broken batch raises whatever its decoder happens to
raise, after some of its records.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.errors import KafkaError
from aiokafka.record.memory_records import MemoryRecords

from agents.kafka.decompression import MOST_BYTES

#: The newest form of a batch, which all producers of the last years write.
MAGIC: Final = 2
#: A batch with more records than this is not one for this service; they take 100 MB in memory.
MOST_RECORDS: Final = 250_000

_OVERHEAD: Final = struct.Struct(">qi")
_MAGIC_AT: Final = 16
# From the base offset to the number of records; those not read here are padding.
_HEADER: Final = struct.Struct(">q 4x 4x B 4x 2x i q 8x 8x 2x 4x i")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a batch says, which is not to be believed of a broken one."""

    base_offset: int
    last_offset_delta: int
    timestamp_ms: int
    records: int

    @property
    def next_offset(self) -> int:
        """The offset behind the batch."""
        return self.base_offset + self.last_offset_delta + 1


class UndecodableBatchError(Exception):
    """A batch cannot be decoded; `following` is the base offset of the next one if it is known."""

    def __init__(self, fault: str, header: Header | None, following: int | None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.header = header
        self.following = following

    def extent(self, position: int, end: int) -> tuple[int, int]:
        """Return the batch's first offset and the one behind it.

        It was fetched for `position` from a log that ends at `end`. Where the header cannot be
        right, the next batch says where this one ends, or else only the position is known.
        """
        following = self.following
        if following is not None and not position < following <= end:
            following = None
        header = self.header
        if header is not None and position < header.next_offset <= (following or end):
            first = header.base_offset
            return (first if 0 <= first < header.next_offset else position), header.next_offset
        return position, following or position + 1


class DecodedBatch:
    """A batch whose records have all been decoded; otherwise as aiokafka's."""

    def __init__(self, batch: Any) -> None:  # noqa: ANN401  # aiokafka has one class per form
        self.producer_id = batch.producer_id
        self.base_offset = batch.base_offset
        self.next_offset = batch.next_offset
        self.is_control_batch = batch.is_control_batch
        self.is_transactional = batch.is_transactional
        records = list(batch)
        self.size = 0
        for record in records:
            if record.offset >= self.next_offset:
                raise ValueError("records beyond the last offset")
            self.size += len(record.value or b"")
        self._records = iter(records)

    def validate_crc(self) -> bool:
        """Say that the checksum holds, as has been seen before."""
        return True

    def __iter__(self) -> Iterator[Any]:
        return self._records

    def __next__(self) -> Any:  # noqa: ANN401
        return next(self._records)


class FetchedBatches:
    """Stands in for aiokafka's MemoryRecords.

    A batch that is cut off is left out as usual, but not the first one: Kafka returns that whole,
    however long it is, so its length must be wrong.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._unpacked = 0

    def size_in_bytes(self) -> int:
        """Return the size of all that was fetched."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is another batch, and room for it; what is left is fetched again."""
        if self._at == 0:
            return len(self._data) > 0
        return self._end() is not None and self._unpacked < MOST_BYTES

    def next_batch(self) -> DecodedBatch:
        """Decode the next batch. Raises UndecodableBatchError."""
        begin, end = self._at, self._end()
        self._at = len(self._data) if end is None else end
        header = _header(self._data[begin:])
        try:
            if end is None:
                raise ValueError("its length is wrong")  # noqa: TRY301  # as what follows
            batch = _decoded(bytes(self._data[begin:end]), header)
        except Exception as error:  # whatever a decoder raises
            raise UndecodableBatchError(_fault(error), header, self._following()) from error
        self._unpacked += batch.size
        return batch

    def _end(self) -> int | None:
        """Return where the next batch ends, None if the data ends before that."""
        if len(self._data) < self._at + _OVERHEAD.size:
            return None
        _, length = _OVERHEAD.unpack_from(self._data, self._at)
        end: int = self._at + _OVERHEAD.size + length
        return end if self._at < end <= len(self._data) else None

    def _following(self) -> int | None:
        rest = self._data[self._at :]
        if len(rest) < _OVERHEAD.size:
            return None
        offset: int = _OVERHEAD.unpack_from(rest)[0]
        return offset


def _decoded(data: bytes, header: Header | None) -> DecodedBatch:
    magic = data[_MAGIC_AT]
    if magic > MAGIC:
        raise ValueError(f"unknown form {magic}")
    batch: Any = MemoryRecords(data).next_batch()
    if not batch.validate_crc():
        raise ValueError("its checksum does not hold")
    if magic == MAGIC and header is not None:
        if not 0 <= header.records <= MOST_RECORDS:
            raise ValueError(f"{header.records} records")
        if header.last_offset_delta < 0:
            raise ValueError("it ends before it begins")
    return DecodedBatch(batch)


def _fault(error: Exception) -> str:
    """Return what a decoder says; the text of aiokafka's errors begins with their type."""
    said = error.args[0] if isinstance(error, KafkaError) and error.args else error
    return str(said).strip() or type(error).__name__


def _header(data: memoryview) -> Header | None:
    if len(data) < _HEADER.size:
        return None
    offset, magic, last, timestamp_ms, records = _HEADER.unpack_from(data)
    if magic < MAGIC:
        return Header(offset, 0, 0, 1)
    return Header(offset, last, timestamp_ms, records)
