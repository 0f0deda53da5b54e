"""Converts aiokafka's messages."""

from typing import Any

from rules.models import Record


def record_from_kafka(message: Any) -> Record:  # noqa: ANN401  # aiokafka has no types
    """Return the record of a message that a `CarefulFetcher` has fetched."""
    headers = message.headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp or 0,
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in headers) if headers else (),
        message.clear_from,
        message.undecodable,
    )
