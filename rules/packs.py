"""How the messages of one statement are packed for the outbox: by shard, in their order."""

from collections.abc import Iterable
from typing import Final

from rules.shards import SHARDS

#: A pack has at most this many messages: the next pack's number is so much higher.
MAX_MESSAGES: Final = 1000

#: PostgreSQL keeps a row of up to 8,160 bytes in one place, with about 60 beside the messages. A
#: larger message is a pack by itself.
MAX_BYTES: Final = 8_000

#: How much of a shard is fetched at once: so many packs and bytes at the most, or one larger pack.
FETCHED_PACKS: Final = 32
FETCHED_BYTES: Final = FETCHED_PACKS * MAX_BYTES

#: How much the first packs of the shards that are leased together may have before the last one is
#: added. It matters where many messages are large: what is fetched is in memory several times.
LEASED_BYTES: Final = 16 * 1024 * 1024


def numbers(messages: Iterable[tuple[int, int]]) -> list[int]:
    """Return the number of each message's pack, from its shard and its bytes.

    Packs are numbered in the order of their first messages; a pack's shard is its number modulo
    SHARDS.
    """
    found: list[int] = []
    #: Of each shard the pack that is being filled: its number, messages and bytes.
    filling: dict[int, tuple[int, int, int]] = {}
    packs = 0
    for shard, size in messages:
        number, count, filled = filling.get(shard, (0, MAX_MESSAGES, 0))
        if count == MAX_MESSAGES or filled + size > MAX_BYTES:
            number, count, filled = packs * SHARDS + shard, 0, 0
            packs += 1
        filling[shard] = number, count + 1, filled + size
        found.append(number)
    return found
