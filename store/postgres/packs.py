"""How messages lie in the outbox: many in one row, their bytes one after another.

For each message there are four numbers, the bytes of all that follows the first of them, of the
topic, of the key and of the value (-1: none); then topic, key, value and headers. PostgreSQL stores
and returns this in half the time of arrays. In SQL the functions of migration 0015 do the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from rules import packs
from rules.models import OutboxMessage
from rules.shards import SHARDS, shard_of

Columns: TypeAlias = tuple[list[Any], ...]

_HEAD: Final = Struct(">ihii")
_AFTER_SIZE: Final = _HEAD.size - 4


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """Pack headers of arbitrary bytes; Latin-1 gives each byte a character."""
    return orjson.dumps([[name, value.decode("latin-1")] for name, value in headers])


def unpack_headers(packed: bytes) -> tuple[tuple[str, bytes], ...]:
    """Undo `pack_headers`."""
    return tuple((name, text.encode("latin-1")) for name, text in orjson.loads(packed))


def pack_message(message: OutboxMessage) -> bytes:
    """Return a message as it lies in a pack."""
    topic, headers = message.topic.encode(), pack_headers(message.headers)
    key, value = message.key or b"", message.value or b""
    body = topic + key + value + headers
    head = _HEAD.pack(
        _AFTER_SIZE + len(body),
        len(topic),
        -1 if message.key is None else len(key),
        -1 if message.value is None else len(value),
    )
    return head + body


def unpack(content: bytes) -> list[OutboxMessage]:
    """Return the messages of a pack."""
    messages, at = [], 0
    while at < len(content):
        size, topic, key, value = _HEAD.unpack_from(content, at)
        topic_at, end = at + _HEAD.size, at + 4 + size
        key_at = topic_at + topic
        value_at = key_at + key if key > 0 else key_at
        headers_at = value_at + value if value > 0 else value_at
        messages.append(
            OutboxMessage(
                content[topic_at:key_at].decode(),
                None if key < 0 else content[key_at:value_at],
                None if value < 0 else content[value_at:headers_at],
                unpack_headers(content[headers_at:end]),
            )
        )
        at = end
    return messages


def packed(messages: Iterable[OutboxMessage]) -> Columns:
    """Return shards, counts of messages and contents of packs, as INSERT_PACKS takes them."""
    contents: defaultdict[int, list[bytes]] = defaultdict(list)
    for number, content in zip(*numbered(messages), strict=True):
        contents[number].append(content)
    return (
        [number % SHARDS for number in contents],
        [len(pack) for pack in contents.values()],
        [b"".join(pack) for pack in contents.values()],
    )


def numbered(messages: Iterable[OutboxMessage]) -> Columns:
    """Return of each message the number of its pack, and what it is in there."""
    shards, contents = [], []
    for message in messages:
        shards.append(shard_of(message.key))
        contents.append(pack_message(message))
    return packs.numbers(zip(shards, map(len, contents), strict=True)), contents


def numbered_of(messages: Iterable[tuple[UUID, OutboxMessage]]) -> Columns:
    """Like `numbered`, after a column with the id of what each message is about."""
    pairs = list(messages)
    return ([of_id for of_id, _ in pairs], *numbered(message for _, message in pairs))
