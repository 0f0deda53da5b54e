"""The messages of the AsyncAPI document: what is published, consumed, put aside and pushed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from rules.commands.orders import CommandName
from rules.dead_letters.messages import LEFT_OUT, Reason
from rules.events.schemas.base import Envelope, Published
from rules.events.schemas.catalogue import EVENTS, PUSHES
from rules.messages.commands import CommandData, CommandHead, HeadEnvelope
from rules.messages.suggestions import MatchesSuggestedEnvelope
from web.documents import event_examples as examples
from web.documents.channels import ASKS, COMMANDS, CONSUMED, PUBLISHED, SUGGESTIONS, Channel
from web.documents.schemas import Json

NOTIFICATION: Final = "TeacherNotificationRequestedV1"
SUGGESTED: Final = "BatchAuthorMatchesSuggestedV1"
JSON: Final = "application/json"
BINDING: Final = {"bindingVersion": "0.5.0"}

_TEXT: Final = {"type": "string"}
_UUID: Final = {"type": "string", "format": "uuid"}
#: The envelope says whose request or message it belongs to, in the service's and in others'.
CORRELATION: Final = {
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
        "content-type": {**_TEXT, "const": JSON},
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

TAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "published": {"name": "Published", "description": "What the service tells."},
    "consumed": {"name": "Consumed", "description": "What it is told."},
    "letters": {"name": "Dead letters", "description": "What it was told and could not use."},
    "pushed": {"name": "Real time", "description": "What a teacher's browser gets, best effort."},
}


def message_name(model: type[Published]) -> str:
    """Return the name under which an event's message stands in the document."""
    return model.__name__


def letter_name(channel: Channel) -> str:
    """Return the name of the channel, and of the message, of a channel's dead letters."""
    return f"{channel.name}DeadLetters"


def ref(*path: str) -> Json:
    """Return a reference to a part of the document."""
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in path)
    return {"$ref": "#/" + "/".join(escaped)}


def messages(schemas: Json) -> Iterator[tuple[str, Json]]:
    """Yield every message, with its name in the document, given the schemas of the models."""
    found = [examples.as_example(message) for message in examples.published()]
    for channel in PUBLISHED:
        for model in EVENTS[channel.topic]:
            payload = _enveloped(schemas[Envelope.__name__], model, channel.topic)
            yield message_name(model), {**_event(channel, model, found), "payload": payload}
    yield SUGGESTED, _suggestions()
    for name in CommandName:
        yield name.value, _command(name, schemas[HeadEnvelope.__name__])
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
        "contentType": JSON,
        "tags": [TAGS["published"]],
        "correlationId": ref("components", "correlationIds", "envelope"),
        "headers": _HEADERS,
        "bindings": {"kafka": {"key": channel.key.whole, **BINDING}},
        "examples": own[:1],
    }


def _is_of(payload: Json, topic: str, kind: Any) -> bool:  # noqa: ANN401  # pydantic's FieldInfo
    if payload["event_type"] != topic:
        return False
    return kind is None or payload["data"]["notification_type"] in get_args(kind.annotation)


def _enveloped(envelope: Json, data: type[BaseModel], topic: str) -> Json:
    """Return the schema of an envelope with such data in it."""
    members = {**envelope["properties"], "data": _schema(data.__name__)}
    if "event_type" in members:
        members["event_type"] = {**members["event_type"], "const": topic}
    return {**envelope, "properties": members}


def _suggestions() -> Json:
    return {
        **_consumed(SUGGESTIONS, SUGGESTED),
        "title": SUGGESTED,
        "summary": "Which students the essays of a batch are probably by",
        "payload": _schema(MatchesSuggestedEnvelope.__name__),
        "examples": [{"payload": examples.suggestions()}],
    }


def _command(name: CommandName, envelope: Json) -> Json:
    [model] = (one for one in get_args(CommandData) if _command_of(one) is name)
    return {
        **_consumed(COMMANDS, name.value),
        "title": name.value,
        "summary": ASKS[name],
        "payload": _enveloped(envelope, model, COMMANDS.topic),
        "examples": [{"payload": examples.command(name)}],
    }


def _command_of(model: type[CommandHead]) -> CommandName:
    name: CommandName
    [name] = get_args(model.model_fields["command"].annotation)
    return name


def _consumed(channel: Channel, name: str) -> Json:
    return {
        "name": name,
        "contentType": JSON,
        "tags": [TAGS["consumed"]],
        "correlationId": ref("components", "correlationIds", "envelope"),
        "headers": _SENT_HEADERS,
        "bindings": {"kafka": {"key": channel.key.whole, **BINDING}},
    }


def _letter(channel: Channel) -> Json:
    return {
        "name": letter_name(channel),
        "title": f"Dead letter of {channel.topic}",
        "summary": "The message as it came, with what was wrong with it in its headers",
        "contentType": "application/octet-stream",
        "tags": [TAGS["letters"]],
        "headers": _LETTER_HEADERS,
        "payload": {"description": "The value as it came, which may be anything."},
        "bindings": {"kafka": {"key": {**_TEXT, "description": "As it came."}, **BINDING}},
    }


def _push(model: type[Published], example: Json) -> Json:
    return {
        "name": message_name(model),
        "title": example["event"],
        "summary": _summary(model),
        "contentType": JSON,
        "tags": [TAGS["pushed"]],
        "correlationId": {**CORRELATION, "location": "$message.payload#/data/correlation_id"},
        "payload": _schema(model.__name__),
        "examples": [{"payload": example}],
    }


def _schema(name: str) -> Json:
    return ref("components", "schemas", name)


def _summary(model: type[Published]) -> str:
    return (model.__doc__ or "").splitlines()[0].removesuffix(".")
