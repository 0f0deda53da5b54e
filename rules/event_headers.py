"""The headers of an event, which repeat what its envelope says.

They are cut out of the value where they are needed, so that nobody builds, packs, stores and reads
them on the way from a change to Kafka. That rests on the order of the envelope's members
(rules.events.envelopes), which a test holds on to.
"""

from typing import Final, TypeAlias

Headers: TypeAlias = tuple[tuple[str, bytes], ...]

_JSON_CONTENT: Final = ("content-type", b"application/json")
_ID_LENGTH: Final = 36
_EVENT_ID: Final = slice(len('{"event_id":"'), len('{"event_id":"') + _ID_LENGTH)
_CORRELATION_ID: Final = b'"correlation_id":"'
_UNTRACED: Final = b'"metadata":null}'
_TRACEPARENT: Final = b'"metadata":{"traceparent":"'


def event_headers(topic: str, value: bytes) -> Headers:
    """Return the headers of an event with this value."""
    begin = value.index(_CORRELATION_ID) + len(_CORRELATION_ID)
    headers = (
        ("event_id", value[_EVENT_ID]),
        ("event_type", topic.encode()),
        ("correlation_id", value[begin : begin + _ID_LENGTH]),
        _JSON_CONTENT,
    )
    if value.endswith(_UNTRACED):
        return headers
    begin = value.rindex(_TRACEPARENT) + len(_TRACEPARENT)
    return (*headers, ("traceparent", value[begin : -len('"}}')]))
