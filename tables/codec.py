"""The encoding of the table's entries in RocksDB and in the changelog.

Fixed width and big-endian, so that a scan compares deadlines as bytes without decoding: it takes
half a second for a million entries. No names, no emails.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from rules.instants import LATEST

#: The format of keys and values; a table in another format is rebuilt.
FORMAT: Final = 2

#: Separates batch ids from the key under which Faust stores the changelog offset.
KEY_PREFIX: Final = b"b"
KEYS_END: Final = b"c"

# format, partitions, confirm_by, armed_at (microseconds since 1970), pending_count, class_id
_VALUE: Final = struct.Struct(">BHQQI16s")
DEADLINE: Final = slice(3, 11)
_ARMED: Final = slice(11, 19)
CLASS_ID: Final = slice(23, 39)
_PARTITIONS: Final = slice(1, 3)
_PENDING: Final = slice(19, 23)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TimerEntry:
    """A batch with pending associations; `confirm_by` is the soonest."""

    batch_id: UUID
    class_id: UUID
    pending_count: int
    confirm_by: datetime
    armed_at: datetime


def key_of(batch_id: UUID) -> bytes:
    """Return the key of a batch; keys sort as PostgreSQL sorts ids."""
    return KEY_PREFIX + batch_id.bytes


def id_of(key: bytes) -> UUID:
    """Return the batch of a key; of a key of another length one that sorts beside it."""
    return UUID(bytes=key[1:17].ljust(16, b"\0"))


def instant_bytes(at: datetime) -> bytes:
    """Encode an instant as at `DEADLINE` in a value; earlier than 1970 counts as 1970."""
    return max((at - _EPOCH) // _MICROSECOND, 0).to_bytes(8, "big")


def instant_of(packed: bytes) -> datetime:
    """Decode an instant."""
    return _EPOCH + timedelta(microseconds=int.from_bytes(packed, "big"))


_END: Final = instant_bytes(LATEST)


def pack(entry: TimerEntry, partitions: int) -> bytes:
    """Return the value of an entry that was placed when its topic had `partitions`."""
    return _VALUE.pack(
        FORMAT,
        partitions,
        (entry.confirm_by - _EPOCH) // _MICROSECOND,
        (entry.armed_at - _EPOCH) // _MICROSECOND,
        entry.pending_count,
        entry.class_id.bytes,
    )


def unpack(key: bytes, value: bytes) -> TimerEntry:
    """Return the entry of a key and a value that are `readable`."""
    _, _, confirm_by, armed_at, pending_count, class_id = _VALUE.unpack(value)
    return TimerEntry(
        id_of(key),
        UUID(bytes=class_id),
        pending_count,
        _EPOCH + timedelta(microseconds=confirm_by),
        _EPOCH + timedelta(microseconds=armed_at),
    )


def readable(key: bytes, value: bytes) -> bool:
    """Return whether a row is an entry of this format, with instants that there are."""
    return (
        len(key) == len(KEY_PREFIX) + 16
        and key.startswith(KEY_PREFIX)
        and len(value) == _VALUE.size
        and value[0] == FORMAT
        and value[DEADLINE] < _END
        and value[_ARMED] < _END
    )


def says(value: bytes, pending_count: int, confirm_by: datetime) -> bool:
    """Return whether a value has this count and this deadline."""
    return value[DEADLINE] == instant_bytes(confirm_by) and value[
        _PENDING
    ] == pending_count.to_bytes(4, "big")


def partitions_of(value: bytes) -> int:
    """Return how many partitions the topic had when an entry was placed."""
    return int.from_bytes(value[_PARTITIONS], "big")
