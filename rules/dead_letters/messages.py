"""Dead letters keep the key, value and headers of their message (docs/contract.md, section 3)."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import uuid_utils

from rules.errors import ValidationFailedError
from rules.models import OutboxMessage, Record
from rules.sizes import MAX_MESSAGE_BYTES, size_of, size_of_headers
from rules.topics import dead_letter_topic

#: The header that names the parts of a message that its dead letter has no room for.
LEFT_OUT: Final = "dlt-left-out"

_PARTS: Final = ["key", "value", "headers"]
_DELIVERIES: Final = uuid_utils.UUID("6f5f2f3c-4f0e-5d0a-9d53-0c1f6f6f2b11")


class Reason(StrEnum):
    """Why a message was dead-lettered (`dlt-reason`)."""

    UNREADABLE = "unreadable"
    UNDECODABLE = "undecodable_batch"
    INVALID = "invalid_message"
    CLASS_NOT_FOUND = "class_not_found"
    CLASS_DELETED = "class_deleted"
    BATCH_CLOSED = "batch_closed"
    BATCH_OF_ANOTHER_CLASS = "batch_of_another_class"
    BATCH_TOO_LARGE = "batch_too_large"
    REFUSED_BY_DATABASE = "refused_by_database"
    PROCESSING_FAILED = "processing_failed"


#: By the only fault that was found; everything else is `INVALID`.
_UNREAD: Final = {
    "json_invalid at /": Reason.UNREADABLE,
    "too_long at /data/match_results": Reason.BATCH_TOO_LARGE,
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record to dead-letter; `exception` gives details and holds nothing personal."""

    record: Record
    reason: Reason
    exception: str


def unreadable(record: Record, error: ValidationFailedError) -> DeadLetter:
    """Return the dead letter of a record that cannot be parsed; its error names places."""
    return DeadLetter(record, _UNREAD.get(error.detail, Reason.INVALID), error.detail)


def delivery_id(record: Record) -> UUID:
    """Return the identity of a delivered record, the same whenever Kafka redelivers it.

    The content is part of it because a new broker counts offsets from 0 again.
    """
    digest = hashlib.sha256(record.value or b"").hexdigest()
    place = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp_ms}/{digest}"
    return UUID(int=uuid_utils.uuid5(_DELIVERIES, place).int)


def dead_letter_message(letter: DeadLetter, at: datetime) -> OutboxMessage:
    """Build the record for `<topic>.dlt`, which takes any message that its topic takes.

    One that its sender has compressed may be larger: its largest part is left out, and
    `dlt-topic`, `dlt-partition` and `dlt-offset` say where it lies. Of a record batch that cannot
    be decoded everything is.
    """
    record, left_out = _fitting(letter.record)
    batch = record.undecodable
    added = {
        "dlt-reason": letter.reason.value,
        "dlt-exception": letter.exception,
        "dlt-topic": record.topic,
        "dlt-partition": str(record.partition),
        "dlt-offset": str(batch.first_offset if batch else record.offset),
        "dlt-timestamp": at.isoformat(),
    }
    if batch:
        added["dlt-last-offset"] = str(record.offset)
        left_out = _PARTS
    if left_out:
        added[LEFT_OUT] = ",".join(left_out)
    return OutboxMessage(
        topic=dead_letter_topic(record.topic),
        key=record.key,
        value=record.value,
        own_headers=(*record.headers, *((name, text.encode()) for name, text in added.items())),
    )


def _fitting(record: Record) -> tuple[Record, list[str]]:
    """Return a record without the parts that make it too large, and their names."""
    left_out: list[str] = []
    while size_of(record.key, record.value, record.headers) > MAX_MESSAGE_BYTES:
        sizes = {
            "key": len(record.key or b""),
            "value": len(record.value or b""),
            "headers": size_of_headers(record.headers),
        }
        largest = max(sizes, key=sizes.__getitem__)
        nothing: Any = () if largest == "headers" else None
        record = replace(record, **{largest: nothing})
        left_out.append(largest)
    return record, left_out
