"""Converts aiokafka's messages."""

from typing import Any

from rules.models import Record


def record_from_kafka(message: Any) -> Record:  # noqa: ANN401  # aiokafka has no types
    """Return the record of a message, equal to that of Faust's event for it."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=message.timestamp or 0,
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in message.headers),
        clear_from=getattr(message, "clear_from", None),
        undecodable=getattr(message, "undecodable", None),
    )
