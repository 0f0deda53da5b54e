"""Server-sent events: the lines that a stream carries."""

from typing import Final, NoReturn

import orjson

from rules.events.schemas.catalogue import PUSHES
from rules.ids import new_id
from web.parameters import canonical_uuid

#: Ours have less than 2,000 bytes. Anybody may publish on a user's channel.
MOST_BYTES: Final = 16 * 1024

#: Something may have been missed: whoever shows anything reads it again.
RESYNC: Final = b"event: resync\ndata: {}\n\n"
#: Shows who is in between, and the client, that the stream is alive.
COMMENT: Final = b":\n\n"


class UnreadableError(ValueError):
    """What somebody published is no real-time message."""


class UnknownEventError(UnreadableError):
    """It is a message of a kind that the service does not have."""


def opening(retry_ms: int) -> bytes:
    """Return how a stream begins: when to come again, and an id to say then that one was here."""
    return b"retry: %d\nid: %s\n\n" % (retry_ms, str(new_id()).encode())


def event_of(text: bytes) -> bytes:
    """Return the event of a message on Redis. Raises UnreadableError.

    It is written anew: a line break in what somebody else published would begin a line here.
    """
    if len(text) > MOST_BYTES:
        _refuse()
    try:
        message = orjson.loads(text)
        name, data = message["event"], message["data"]
        event_id = canonical_uuid(data["event_id"])
    except (LookupError, TypeError, ValueError, AttributeError):
        _refuse()
    if event_id is None or not isinstance(data, dict) or not isinstance(name, str):
        _refuse()
    if name not in PUSHES:
        raise UnknownEventError
    head = f"event: {name}\nid: {event_id}\ndata: ".encode()
    return head + orjson.dumps(data) + b"\n\n"


def _refuse() -> NoReturn:
    raise UnreadableError from None
