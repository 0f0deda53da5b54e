"""How the messages of one statement are packed for the outbox: by shard, in their order."""

from collections.abc import Iterable
from typing import Final

from rules.models import OutboxMessage
from rules.shards import SHARDS, shard_of
from rules.sizes import size_of

#: A pack has at most this many messages: the next pack's number is so much higher.
MAX_MESSAGES: Final = 1000

#: A row of more than this goes into another table, at twice the cost; one message may be larger.
MAX_BYTES: Final = 7_000

#: About what a message costs beside its bytes.
MESSAGE_BYTES: Final = 40


def pack(messages: Iterable[OutboxMessage]) -> list[list[OutboxMessage]]:
    """Return the packs of messages, in the order of their first messages."""
    packs: list[list[OutboxMessage]] = []
    #: Of each shard the pack that is being filled, and its bytes.
    filling: list[tuple[list[OutboxMessage], int]] = [([], MAX_BYTES)] * SHARDS
    for message in messages:
        shard = shard_of(message.key)
        filled, size = filling[shard]
        size += size_of(message.key, message.value, message.headers) + MESSAGE_BYTES
        if size > MAX_BYTES or len(filled) == MAX_MESSAGES:
            filled, size = [], size - filling[shard][1]
            packs.append(filled)
        filled.append(message)
        filling[shard] = filled, size
    return packs
