"""Faults of other services' messages: repeated, out of order, or unreadable."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

import orjson

from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from faults.history import Sent
from faults.injectors.scene import Fault, Scene
from faults.sender import enveloped
from rules import topics

#: The limit of the topics, less what the broker adds to a record and its batch.
LARGEST: Final = 8 * 1024 * 1024 - 512
DEPTH: Final = 10_000
AGAIN: Final = 60


async def poison(scene: Scene) -> int:
    """Send unreadable records of every kind among readable ones."""
    struck = 0
    for topic in (SUGGESTIONS, COMMANDS):
        for value in _unreadable(topic):
            key = uuid4().hex.encode()
            headers = (("trace", b"\xff\xfe"), ("n", str(struck).encode()), ("trace", b"again"))
            sent = Sent(topic, key, value, headers, scene.sender.clock(), readable=False)
            await scene.sender.write(scene.sender.history.send(sent))
            struck += 1
    return struck


async def huge(scene: Scene) -> int:
    """Send messages as large as their topics accept: two readable, two unreadable."""
    struck = 0
    for topic in (SUGGESTIONS, COMMANDS):
        key = uuid4().hex.encode()
        sent = Sent(topic, key, b"x" * LARGEST, (), scene.sender.clock(), readable=False)
        await scene.sender.write(scene.sender.history.send(sent))
        struck += sent.acked
    return struck


async def again(scene: Scene) -> int:
    """Send earlier records once more, out of order, some of them three times."""
    readable = [s for s in scene.sender.history.sent if s.readable and s.acked]
    chosen = scene.rng.choices(readable, k=min(AGAIN, len(readable))) if readable else []
    history, clock = scene.sender.history, scene.sender.clock
    copies = [
        Sent(s.topic, s.key, s.value, (("again", b"1"),), clock(), s.op_id, s.event_id)
        for s in chosen
    ]
    await asyncio.gather(*(scene.sender.write(history.send(copy)) for copy in copies))
    return len(copies)


def _unreadable(topic: str) -> Sequence[bytes | None]:
    """Return values that are not messages of a topic, none of them used before."""
    return [make(topic) for make in UNREADABLE]


def _without(member: str) -> Callable[[str], bytes]:
    def make(topic: str) -> bytes:
        envelope = enveloped(topic, {})
        del envelope[member]
        return orjson.dumps(envelope)

    return make


def _with(**members: object) -> Callable[[str], bytes]:
    def make(topic: str) -> bytes:
        return orjson.dumps({**enveloped(topic, _data(topic)), **members})

    return make


def _data(topic: str) -> dict[str, object]:
    if topic == topics.COMMANDS:
        return {"command": "class.create", "user_id": "u", "name": "9A", "course_codes": ["SV1"]}
    return {"batch_id": str(uuid4()), "class_id": str(uuid4()), "match_results": []}


UNREADABLE: Final[Sequence[Callable[[str], bytes | None]]] = (
    lambda _: None,
    lambda _: b"",
    lambda _: b"\x00",
    lambda _: b"\xff\xfe\xfd" + uuid4().bytes,
    lambda _: b"null",
    lambda _: b"[]",
    lambda _: b'"text"',
    lambda _: b"{" * DEPTH,
    lambda _: b"[" * DEPTH + b"]" * DEPTH,
    lambda _: b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    lambda _: b"NaN",
    lambda topic: orjson.dumps(enveloped(topic, _data(topic)))[:-7],
    _without("event_id"),
    _without("correlation_id"),
    _with(data=None),
    _with(data=[]),
    _with(data="text"),
    _with(event_id=7),
    _with(event_id="not-a-uuid"),
    _with(data={"command": "class.explode", "user_id": "u", "batch_id": "x"}),
    _with(data={"command": "class.create", "user_id": "", "batch_id": None}),
    _with(data={"command": ["class.create"], "user_id": {}, "match_results": {}}),
)


FAULTS = {
    "messages_poison": Fault("messages", poison),
    "messages_huge": Fault("messages", huge),
    "messages_again": Fault("messages", again),
}
