"""Whatever any test has published fits its model, with nothing that the model does not name.

Looked at is what this process publishes (each message is made at one place), and what the tests of
a running service read from Kafka and Redis.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from devstack.rig.kafka import Message
from devstack.rig.redis import RedisListener
from rules import topics
from rules.events import envelopes
from rules.events.schemas.base import Envelope, Published
from rules.events.schemas.catalogue import EVENTS, PUSHES
from rules.models import OutboxMessage

Headers = tuple[tuple[str, bytes], ...]

#: The member of the event that is its message's key.
KEYS: Final[Mapping[str, str]] = {
    **dict.fromkeys((topics.CLASS_CREATED, topics.CLASS_UPDATED, topics.CLASS_DELETED), "class_id"),
    **dict.fromkeys(
        (topics.STUDENT_CREATED, topics.STUDENT_UPDATED, topics.STUDENT_DELETED), "student_id"
    ),
    **dict.fromkeys(
        (topics.ASSOCIATIONS_CONFIRMED, topics.ASSOCIATION_UPDATED, topics.TIMEOUT_PROCESSED),
        "batch_id",
    ),
    topics.NOTIFICATION_REQUESTED: "teacher_id",
    topics.COMMAND_RESULTS: "command_id",
}

#: What did not fit since the last test ended.
_faults: Final[list[str]] = []
#: Topics are read from their beginning by each test.
_seen: Final[set[tuple[str, int, int, str]]] = set()


def faults_of_message(
    topic: str, key: bytes | None, value: bytes | None, headers: Headers
) -> list[str]:
    """Say in what a published message differs from its model, key and headers."""
    envelope = orjson.loads(value or b"null")
    faults = _misfits(Envelope, envelope)
    if faults:
        return faults
    data = envelope["data"]
    model = _MODELS[topic].get(data.get("notification_type"))
    faults += _misfits(model, data) if model else ["notification_type is none that has a model"]
    wanted = {name: str(envelope[name]) for name in ("event_id", "event_type", "correlation_id")}
    wanted["content-type"] = "application/json"
    if envelope["metadata"]:
        wanted |= envelope["metadata"]
    if {name: text.decode() for name, text in headers} != wanted:
        faults.append(f"the headers are not {sorted(wanted)} with what the envelope has")
    if envelope["event_type"] != topic:
        faults.append(f"event_type is {envelope['event_type']}")
    if not faults and key != data[KEYS[topic]].encode():
        faults.append(f"the key is not {KEYS[topic]}")
    return faults


def faults_of_push(message: Any) -> list[str]:  # noqa: ANN401  # any JSON
    """Say in what a message pushed through Redis differs from its model."""
    model = PUSHES.get(message.get("event"))
    return _misfits(model, message) if model else [f"no model of {message.get('event')}"]


def look_at(messages: Iterable[Message]) -> None:
    """Look at what was read from Kafka, once."""
    for one in messages:
        place = (one.topic, one.partition, one.offset, str(one.value))
        if place not in _seen:
            _seen.add(place)
            _note(one.topic, faults_of_message(one.topic, one.key, one.value, tuple(one.headers)))


def _kinds(models: Iterable[type[Published]]) -> dict[str | None, type[Published]]:
    """Return the models of a topic by `notification_type`, None if they have none."""
    fields = ((model, model.model_fields.get("notification_type")) for model in models)
    return {get_args(field.annotation)[0] if field else None: model for model, field in fields}


_MODELS: Final = {topic: _kinds(models) for topic, models in EVENTS.items()}


def _misfits(model: type[BaseModel], value: object) -> list[str]:
    try:
        model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []


def _note(what: str, faults: Iterable[str]) -> None:
    _faults.extend(f"{what}: {fault}" for fault in faults)


def _made(topic: str, key: bytes | None, value: bytes | None) -> OutboxMessage:
    message = OutboxMessage(topic, key, value)
    # Tests of envelopes have topics, and events, of their own.
    if topic in EVENTS:
        _note(topic, faults_of_message(topic, key, value, message.headers))
    return message


def pytest_configure() -> None:
    """Look at every message that is made, or pushed to a listener, from now on."""
    setattr(envelopes, "OutboxMessage", _made)  # noqa: B010  # mypy: a function for a class
    handle = RedisListener.handle

    async def handled(self: RedisListener, message: dict[str, Any]) -> None:
        _note("pushed", faults_of_push(message))
        await handle(self, message)

    setattr(RedisListener, "handle", handled)  # noqa: B010  # likewise


@pytest.fixture(autouse=True)
def _published_as_the_models_say() -> Iterator[None]:
    """Fail the test that published something else."""
    yield
    found = sorted(set(_faults))
    _faults.clear()
    assert found == []
