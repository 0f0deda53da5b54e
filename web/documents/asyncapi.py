"""The AsyncAPI document: the topics and what is pushed through Redis, from their models."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final, get_args

import orjson

from rules import topics
from rules.commands.orders import CommandName
from rules.dead_letters.messages import LEFT_OUT, Reason
from rules.events.schemas.base import Envelope, Published
from rules.events.schemas.catalogue import EVENTS, PUSHES
from rules.messages.commands import CommandData, CommandHead, HeadEnvelope
from rules.messages.suggestions import MatchesSuggestedEnvelope
from rules.sizes import DEAD_LETTER_HEADERS_BYTES, MAX_MESSAGE_BYTES
from web.documents import event_examples as examples
from web.documents.channels import ASKS, COMMANDS, CONSUMED, PUBLISHED, SUGGESTIONS, Channel
from web.documents.schemas import Json, Schemas

REDIS_CHANNEL: Final = "ws:{user_id}"
NOTIFICATION: Final = "TeacherNotificationRequestedV1"

_JSON: Final = "application/json"
_BINDING: Final = {"bindingVersion": "0.5.0"}
_TEXT: Final = {"type": "string"}
_UUID: Final = {"type": "string", "format": "uuid"}
#: The envelope says whose request or message it belongs to, in the service's and in others'.
_CORRELATION: Final = {
    "description": "The same in everything that one request or message causes.",
    "location": "$message.payload#/correlation_id",
}
_HEADERS: Final = {
    "type": "object",
    "required": ["event_id", "event_type", "correlation_id", "content-type"],
    "properties": {
        "event_id": {**_UUID, "description": "As in the envelope."},
        "event_type": {**_TEXT, "description": "The topic's name."},
        "correlation_id": {**_UUID, "description": "As in the envelope."},
        "content-type": {**_TEXT, "const": _JSON},
        "traceparent": {**_TEXT, "description": "W3C Trace Context, where there is a trace."},
    },
}
_SENT_HEADERS: Final = {
    "type": "object",
    "properties": {
        "traceparent": {
            **_TEXT,
            "description": "W3C Trace Context, which what it causes goes on with. No other header "
            "is read.",
        },
    },
}
_LETTER_HEADERS: Final = {
    "type": "object",
    "description": "Those of the message, and these.",
    "required": [
        *("dlt-reason", "dlt-exception", "dlt-topic", "dlt-partition", "dlt-offset"),
        "dlt-timestamp",
    ],
    "properties": {
        "dlt-reason": {**_TEXT, "enum": [reason.value for reason in Reason]},
        "dlt-exception": {**_TEXT, "description": "Places and types, nothing personal."},
        "dlt-topic": {**_TEXT, "description": "Where the message lies."},
        "dlt-partition": {**_TEXT, "pattern": "^[0-9]+$"},
        "dlt-offset": {**_TEXT, "pattern": "^[0-9]+$"},
        "dlt-last-offset": {
            **_TEXT,
            "pattern": "^[0-9]+$",
            "description": "Of a record batch that cannot be decoded, which has no value here.",
        },
        "dlt-timestamp": {**_TEXT, "format": "date-time"},
        LEFT_OUT: {**_TEXT, "description": "The parts that there was no room for."},
    },
}

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


@cache
def document() -> Json:
    """Return the document; it is the same as long as the process lives."""
    messages = dict(_messages())
    models = [model for of_topic in EVENTS.values() for model in of_topic]
    schemas = Schemas(
        [MatchesSuggestedEnvelope, HeadEnvelope, *get_args(CommandData)],
        [Envelope, *models, *PUSHES.values()],
    )
    return {
        "asyncapi": "3.0.0",
        "id": "urn:huleedu:class-management",
        "info": {
            "title": "Class Management Service: events",
            "version": version("class-management-service"),
            "description": _DESCRIPTION,
            "tags": list(_TAGS.values()),
        },
        "defaultContentType": _JSON,
        "servers": _SERVERS,
        "channels": _channels(),
        "operations": dict(_operations()),
        "components": {
            "schemas": schemas.components,
            "messages": messages,
            "correlationIds": {"envelope": _CORRELATION},
        },
    }


@cache
def document_json() -> bytes:
    """Return the document as it is served and printed."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


_TAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "published": {"name": "Published", "description": "What the service tells."},
    "consumed": {"name": "Consumed", "description": "What it is told."},
    "letters": {"name": "Dead letters", "description": "What it was told and could not use."},
    "pushed": {"name": "Real time", "description": "What a teacher's browser gets, best effort."},
}
_SERVERS: Final[Mapping[str, Any]] = {
    "kafka": {
        "host": "{bootstrapServers}",
        "protocol": "kafka",
        "description": "Apache Kafka, or what speaks its protocol.",
        "variables": {
            "bootstrapServers": {
                "default": "localhost:9092",
                "description": "Those of the deployment: KAFKA_BOOTSTRAP_SERVERS.",
            }
        },
    },
    "redis": {
        "host": "{redis}",
        "protocol": "redis",
        "description": "Redis or Valkey, with PUBLISH and SUBSCRIBE.",
        "variables": {
            "redis": {
                "default": "localhost:6379",
                "description": "That of the deployment: REDIS_URL.",
            }
        },
    },
}


def message_name(model: type[Published]) -> str:
    """Return the name under which an event's message stands in the document."""
    return model.__name__


def letter_name(channel: Channel) -> str:
    """Return the name of the channel, and of the message, of a channel's dead letters."""
    return f"{channel.name}DeadLetters"


def _ref(*path: str) -> Json:
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in path)
    return {"$ref": "#/" + "/".join(escaped)}


# --- messages ----------------------------------------------------------------------------------


def _messages() -> Iterator[tuple[str, Json]]:
    found = [examples.as_example(message) for message in examples.published()]
    for channel in PUBLISHED:
        for model in EVENTS[channel.topic]:
            yield message_name(model), _event(channel, model, found)
    yield "BatchAuthorMatchesSuggestedV1", _suggestions()
    for name in CommandName:
        yield name.value, _command(name)
    for channel in CONSUMED:
        yield letter_name(channel), _letter(channel)
    pushed = {one["event"]: one for one in examples.pushed()}
    for event, model in PUSHES.items():
        yield message_name(model), _push(model, pushed[event])


def _event(channel: Channel, model: type[Published], found: Iterable[Json]) -> Json:
    kind = model.model_fields.get("notification_type")
    name = message_name(model) if kind is None else NOTIFICATION
    own = [one for one in found if _is_of(one["payload"], channel.topic, kind)]
    return {
        "name": name,
        "title": name if kind is None else f"{name}: {get_args(kind.annotation)[0]}",
        "summary": _summary(model),
        "contentType": _JSON,
        "tags": [_TAGS["published"]],
        "correlationId": _ref("components", "correlationIds", "envelope"),
        "headers": _HEADERS,
        "payload": _enveloped(channel.topic, model),
        "bindings": {"kafka": {"key": channel.key.whole, **_BINDING}},
        "examples": own[:1],
    }


def _is_of(payload: Json, topic: str, kind: Any) -> bool:  # noqa: ANN401  # pydantic's FieldInfo
    if payload["event_type"] != topic:
        return False
    return kind is None or payload["data"]["notification_type"] in get_args(kind.annotation)


def _enveloped(topic: str, model: type[Published]) -> Json:
    """Return the schema of an envelope with that event in it."""
    one = {
        "type": "object",
        "properties": {"event_type": {"const": topic}, "data": _schema(model.__name__)},
    }
    return {"allOf": [_schema(Envelope.__name__), one]}


def _suggestions() -> Json:
    return {
        **_consumed(SUGGESTIONS, "BatchAuthorMatchesSuggestedV1"),
        "title": "BatchAuthorMatchesSuggestedV1",
        "summary": "Which students the essays of a batch are probably by",
        "payload": _schema(MatchesSuggestedEnvelope.__name__),
        "examples": [{"payload": examples.suggestions()}],
    }


def _command(name: CommandName) -> Json:
    [model] = (one for one in get_args(CommandData) if _command_of(one) is name)
    data = {"type": "object", "properties": {"data": _schema(model.__name__)}}
    return {
        **_consumed(COMMANDS, name.value),
        "title": name.value,
        "summary": ASKS[name],
        "payload": {"allOf": [_schema(HeadEnvelope.__name__), data]},
        "examples": [{"payload": examples.command(name)}],
    }


def _command_of(model: type[CommandHead]) -> CommandName:
    name: CommandName
    [name] = get_args(model.model_fields["command"].annotation)
    return name


def _consumed(channel: Channel, name: str) -> Json:
    return {
        "name": name,
        "contentType": _JSON,
        "tags": [_TAGS["consumed"]],
        "correlationId": _ref("components", "correlationIds", "envelope"),
        "headers": _SENT_HEADERS,
        "bindings": {"kafka": {"key": channel.key.whole, **_BINDING}},
    }


def _letter(channel: Channel) -> Json:
    return {
        "name": letter_name(channel),
        "title": f"Dead letter of {channel.topic}",
        "summary": "The message as it came, with what was wrong with it in its headers",
        "contentType": "application/octet-stream",
        "tags": [_TAGS["letters"]],
        "headers": _LETTER_HEADERS,
        "payload": {"description": "The value as it came, which may be anything."},
        "bindings": {"kafka": {"key": {**_TEXT, "description": "As it came."}, **_BINDING}},
    }


def _push(model: type[Published], example: Json) -> Json:
    return {
        "name": message_name(model),
        "title": example["event"],
        "summary": _summary(model),
        "contentType": _JSON,
        "tags": [_TAGS["pushed"]],
        "correlationId": {**_CORRELATION, "location": "$message.payload#/data/correlation_id"},
        "payload": _schema(model.__name__),
        "examples": [{"payload": example}],
    }


def _schema(name: str) -> Json:
    return _ref("components", "schemas", name)


def _summary(model: type[Published]) -> str:
    return (model.__doc__ or "").splitlines()[0].removesuffix(".")


# --- channels and operations -------------------------------------------------------------------


def _channels() -> Json:
    return {
        **{
            channel.name: _topic(channel, map(message_name, EVENTS[channel.topic]))
            for channel in PUBLISHED
        },
        SUGGESTIONS.name: _topic(SUGGESTIONS, ["BatchAuthorMatchesSuggestedV1"]),
        COMMANDS.name: _topic(COMMANDS, [name.value for name in CommandName]),
        **{letter_name(channel): _letters(channel) for channel in CONSUMED},
        "realTime": _real_time(),
    }


def _topic(channel: Channel, messages: Iterable[str]) -> Json:
    configuration = _configuration(topics.RETENTION_MS, MAX_MESSAGE_BYTES)
    return {
        "address": channel.topic,
        "title": channel.title,
        "description": channel.description,
        "servers": [_ref("servers", "kafka")],
        "messages": {name: _ref("components", "messages", name) for name in messages},
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
        "servers": [_ref("servers", "kafka")],
        "messages": {name: _ref("components", "messages", name)},
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
        **_BINDING,
    }


def _real_time() -> Json:
    names = [message_name(model) for model in PUSHES.values()]
    return {
        "address": REDIS_CHANNEL,
        "title": "A teacher's real-time messages",
        "description": "Each notification, as soon as it is on Kafka. Best effort: what was pushed "
        "while nobody listened, or while Redis was away, does not come again.",
        "parameters": {"user_id": {"description": "The teacher's id, as in `X-User-ID` decoded."}},
        "servers": [_ref("servers", "redis")],
        "messages": {name: _ref("components", "messages", name) for name in names},
    }


def _operations() -> Iterator[tuple[str, Json]]:
    for channel in PUBLISHED:
        summary = f"Publishes {channel.title.lower()}"
        yield f"send{_capital(channel.name)}", _operation("send", channel.name, summary, "published")
    for channel in CONSUMED:
        receives = _operation(
            "receive", channel.name, f"Takes {channel.title.lower()}", "consumed"
        )
        group = {"type": "string", "default": topics.GROUP, "description": _GROUP}
        receives["bindings"] = {"kafka": {"groupId": group, **_BINDING}}
        if channel is COMMANDS:
            receives["reply"] = {"channel": _ref("channels", "commandResults")}
        yield f"receive{_capital(channel.name)}", receives
    for channel in CONSUMED:
        name, summary = letter_name(channel), f"Puts {channel.title.lower()} aside"
        yield f"send{_capital(name)}", _operation("send", name, summary, "letters")
    yield "sendRealTime", _operation("send", "realTime", "Pushes to a teacher's browser", "pushed")


_GROUP: Final = "KAFKA_CONSUMER_GROUP of the deployment."


def _operation(action: str, channel: str, summary: str, tag: str) -> Json:
    return {
        "action": action,
        "channel": _ref("channels", channel),
        "title": summary,
        "summary": summary,
        "tags": [_TAGS[tag]],
    }


def _capital(name: str) -> str:
    return f"{name[0].upper()}{name[1:]}"
