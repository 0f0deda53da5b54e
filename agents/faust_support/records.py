"""Converts Faust's events: their headers come in two forms, their timestamps in seconds."""

from typing import Any

from rules.models import Record


def record_of(event: Any) -> Record:  # noqa: ANN401  # Faust types events as a union of protocols
    """Return the record of a Faust event, its bytes unchanged."""
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
        clear_from=getattr(message, "clear_from", None),
        undecodable=getattr(message, "undecodable", None),
    )
