"""The AsyncAPI document: the topics and what is pushed through Redis, from their models."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final, get_args

from rules import topics
from rules.commands.orders import CommandName
from rules.events.schemas.base import Envelope
from rules.events.schemas.catalogue import EVENTS, PUSHES
from rules.messages.commands import CommandData, CommandHead, HeadEnvelope
from rules.messages.suggestions import MatchesSuggestedEnvelope
from rules.sizes import DEAD_LETTER_HEADERS_BYTES, MAX_MESSAGE_BYTES
from web.documents.channels import COMMANDS, CONSUMED, PUBLISHED, SUGGESTIONS, Channel
from web.documents.messages import (
    BINDING,
    CORRELATION,
    JSON,
    SUGGESTED,
    TAGS,
    letter_name,
    message_name,
    messages,
    ref,
)
from web.documents.schemas import Json, Schemas

REDIS_CHANNEL: Final = "ws:{user_id}"
STREAM: Final = "/v1/notifications/stream"

_DESCRIPTION: Final = """\
What other programs read and write beside the HTTP API, which `/openapi.json` describes.

- **Delivery is at least once.** The same `event_id` again is the same event. What has one topic and
  key is in order.
- **Members may be added**, never removed or renamed: ignore those that you do not know, and values
  of an enumeration that you do not know. So does the service.
- **What cannot be read, or never can succeed**, goes to the topic of dead letters; what fails
  because a dependency is down is retried until it succeeds.

JSON is UTF-8. Ids are UUIDs in lower-case canonical text. Instants are RFC 3339 in UTC.
"""


def document() -> Json:
    """Return the document."""
    models = [model for of_topic in EVENTS.values() for model in of_topic]
    schemas = Schemas(
        [MatchesSuggestedEnvelope, HeadEnvelope, *get_args(CommandData)],
        [Envelope, *models, *PUSHES.values()],
    ).components
    return {
        "asyncapi": "3.0.0",
        "id": "urn:huleedu:class-management",
        "info": {
            "title": "Class Management: events",
            "version": version("class-management-service"),
            "description": _DESCRIPTION,
            "tags": list(TAGS.values()),
        },
        "defaultContentType": JSON,
        "servers": _SERVERS,
        "channels": _channels(),
        "operations": dict(_operations()),
        "components": {
            "schemas": {name: one for name, one in schemas.items() if name not in _INLINE},
            "messages": dict(messages(schemas)),
            "correlationIds": {"envelope": CORRELATION},
        },
    }


#: Envelopes without what is in them, which no message has.
_INLINE: Final = {model.__name__ for model in (Envelope, HeadEnvelope, CommandHead)}

#: By the names that a deployment gives them as a rule: nothing here knows their addresses.
_SERVERS: Final[Mapping[str, Any]] = {
    "kafka": {
        "host": "kafka:9092",
        "protocol": "kafka",
        "description": "Apache Kafka, or what speaks its protocol: KAFKA_BOOTSTRAP_SERVERS of the "
        "deployment.",
    },
    "redis": {
        "host": "redis:6379",
        "protocol": "redis",
        "description": "Redis or Valkey: REDIS_URL of the deployment.",
    },
    "http": {
        "host": "class-management:5002",
        "protocol": "http",
        "description": "The HTTP API, which `/openapi.json` describes.",
    },
}


def _channels() -> Json:
    return {
        **{
            channel.name: _topic(channel, map(message_name, EVENTS[channel.topic]))
            for channel in PUBLISHED
        },
        SUGGESTIONS.name: _topic(SUGGESTIONS, [SUGGESTED]),
        COMMANDS.name: _topic(COMMANDS, [name.value for name in CommandName]),
        **{letter_name(channel): _letters(channel) for channel in CONSUMED},
        "realTime": _real_time(),
        "notificationStream": _stream(),
    }


def _topic(channel: Channel, messages: Iterable[str]) -> Json:
    configuration = _configuration(topics.RETENTION_MS, MAX_MESSAGE_BYTES)
    return {
        "address": channel.topic,
        "title": channel.title,
        "description": channel.description,
        "servers": [ref("servers", "kafka")],
        "messages": {name: ref("components", "messages", name) for name in messages},
        "bindings": {"kafka": {"topic": channel.topic, **configuration}},
    }


def _letters(channel: Channel) -> Json:
    topic, name = topics.dead_letter_topic(channel.topic), letter_name(channel)
    size = MAX_MESSAGE_BYTES + DEAD_LETTER_HEADERS_BYTES
    configuration = _configuration(topics.DEAD_LETTER_RETENTION_MS, size)
    return {
        "address": topic,
        "title": f"Dead letters of {channel.topic}",
        "description": "With the original key, value and headers. `class-management dlt` shows, "
        "replays and drops them.",
        "servers": [ref("servers", "kafka")],
        "messages": {name: ref("components", "messages", name)},
        "bindings": {"kafka": {"topic": topic, **configuration}},
    }


def _configuration(retention_ms: int, size: int) -> Json:
    """Return what `class-management topics create` sets."""
    return {
        "partitions": topics.PARTITIONS,
        "topicConfiguration": {
            "cleanup.policy": ["delete"],
            "retention.ms": retention_ms,
            "max.message.bytes": size,
        },
        **BINDING,
    }


def _real_time() -> Json:
    names = [message_name(model) for model in PUSHES.values()]
    return {
        "address": REDIS_CHANNEL,
        "title": "A teacher's real-time messages",
        "description": "Each notification, as soon as it is on Kafka. Best effort: what was pushed "
        "while nobody listened, or while Redis was away, does not come again.",
        "parameters": {"user_id": {"description": "The teacher's id, as in `X-User-ID` decoded."}},
        "servers": [ref("servers", "redis")],
        "messages": {name: ref("components", "messages", name) for name in names},
    }


def _stream() -> Json:
    """Return the same messages as a browser gets them."""
    return {
        "address": STREAM,
        "title": "A teacher's real-time messages, for its browser",
        "description": "The same as server-sent events: `event` and `data` are the message's, `id` "
        "is its `event_id`. `event: resync` says that some may have been missed.",
        "servers": [ref("servers", "http")],
        "messages": _real_time()["messages"],
    }


def _operations() -> Iterator[tuple[str, Json]]:
    for channel in PUBLISHED:
        summary = f"Publishes {_small(channel.title)}"
        yield (
            f"send{_capital(channel.name)}",
            _operation("send", channel.name, summary, "published"),
        )
    for channel in CONSUMED:
        receives = _operation("receive", channel.name, f"Takes {_small(channel.title)}", "consumed")
        group = {"type": "string", "default": topics.GROUP, "description": _GROUP}
        receives["bindings"] = {"kafka": {"groupId": group, **BINDING}}
        if channel is COMMANDS:
            receives["reply"] = {"channel": ref("channels", "commandResults")}
        yield f"receive{_capital(channel.name)}", receives
    for channel in CONSUMED:
        name, summary = letter_name(channel), f"Puts {_small(channel.title)} aside"
        yield f"send{_capital(name)}", _operation("send", name, summary, "letters")
    yield "sendRealTime", _operation("send", "realTime", "Pushes to a teacher's browser", "pushed")
    streams = _operation("send", "notificationStream", "Streams to a teacher's browser", "pushed")
    yield "sendNotificationStream", streams


_GROUP: Final = "KAFKA_CONSUMER_GROUP of the deployment."


def _operation(action: str, channel: str, summary: str, tag: str) -> Json:
    return {
        "action": action,
        "channel": ref("channels", channel),
        "title": summary,
        "summary": summary,
        "tags": [TAGS[tag]],
    }


def _capital(name: str) -> str:
    return f"{name[0].upper()}{name[1:]}"


def _small(title: str) -> str:
    return f"{title[0].lower()}{title[1:]}"
