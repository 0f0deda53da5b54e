"""Faust's events, and what is read beside Faust, as the rules' records."""

from typing import Any

from rules.models import Record


def record_of(event: Any) -> Record:  # noqa: ANN401  # Faust types events as a union of protocols
    """Take a record out of a Faust event, as its bytes came."""
    message = event.message
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round((message.timestamp or 0) * 1000),
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in pairs),
    )


def record_from_kafka(message: Any) -> Record:  # noqa: ANN401  # aiokafka has no types
    """Take a record as aiokafka returns it; equal to what Faust makes of the same one."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=message.timestamp or 0,
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in message.headers),
    )
