"""The envelope that every published value has (docs/contract.md, section 3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from rules.ids import new_id_text
from rules.models import OutboxMessage, Trace

SOURCE_SERVICE: Final = "class_management_service"
SCHEMA_VERSION: Final = 1

_JSON_CONTENT: Final = ("content-type", b"application/json")


def to_json(value: object) -> bytes:
    """Serialise to UTF-8 JSON; instants become RFC 3339 in UTC, UUIDs canonical text."""
    return orjson.dumps(value, default=_subclass_of_uuid, option=orjson.OPT_UTC_Z)


def _subclass_of_uuid(value: object) -> str:
    """Serialise what orjson leaves alone: drivers have UUID classes of their own."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def publish(
    topic: str,
    key: UUID | str,
    data: Mapping[str, Any],
    trace: Trace,
    at: datetime,
    event_id: UUID | None = None,
) -> OutboxMessage:
    """Wrap `data` into an envelope, ready to send; with an `event_id` of its own unless given.

    `at` is the instant that the event says; no decision rests on it.
    """
    event_text = str(event_id) if event_id else new_id_text()
    correlation_text = str(trace.correlation_id)
    value = {
        "event_id": event_text,
        "event_type": topic,
        "event_timestamp": at,
        "source_service": SOURCE_SERVICE,
        "schema_version": SCHEMA_VERSION,
        "correlation_id": correlation_text,
        "data_schema_uri": None,
        "data": data,
        "metadata": {"traceparent": trace.traceparent} if trace.traceparent else None,
    }
    headers = [
        ("event_id", event_text.encode()),
        ("event_type", topic.encode()),
        ("correlation_id", correlation_text.encode()),
        _JSON_CONTENT,
    ]
    if trace.traceparent:
        headers.append(("traceparent", trace.traceparent.encode()))
    return OutboxMessage(topic, str(key).encode(), to_json(value), tuple(headers))
