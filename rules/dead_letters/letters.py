"""Dead letters as people see them: their address, their origin, how they are replayed.

A letter is a record of a `.dlt` topic. What its headers claim is only shown: the topic that holds
the letter decides where a replay goes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

import orjson

from rules import topics
from rules.dead_letters.messages import delivery_id
from rules.models import OutboxMessage, Record

#: The prefix of all headers that dead letters and replays add to those of the message.
OWN_HEADERS: Final = "dlt-"
#: Headers of a replayed record: the replay's id, and the letter that was replayed.
REPLAY_ID: Final = "dlt-replay-id"
REPLAYED_FROM: Final = "dlt-replayed-from"

#: Short names of the topics, for people.
NAMES: Final = {
    "suggestions": topics.dead_letter_topic(topics.MATCHES_SUGGESTED),
    "commands": topics.dead_letter_topic(topics.COMMANDS),
    "timers": topics.dead_letter_topic(topics.TIMERS),
}
_SHORT: Final = {topic: name for name, topic in NAMES.items()}
_ORIGINALS: Final = {topic: topic.removesuffix(".dlt") for topic in topics.DEAD_LETTER}
_ADDRESS: Final = re.compile(r"([^/\s]+)/([0-9]{1,9})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """The place of a dead letter; `topic` is one of `topics.DEAD_LETTER`."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `suggestions/3/42` or `<topic>.dlt/3/42`. Raises ValueError."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError("an address looks like suggestions/3/42")
        topic = NAMES.get(found[1], found[1])
        if topic not in topics.DEAD_LETTER:
            raise ValueError(f"dead letters lie in {', '.join(NAMES)}")
        return cls(topic, int(found[2]), int(found[3]))

    @property
    def short(self) -> str:
        """The address as people type it."""
        return f"{_SHORT[self.topic]}/{self.partition}/{self.offset}"

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a partition of a topic of dead letters holds: from `begin` to before `end`."""

    topic: str
    partition: int
    begin: int
    end: int

    def has(self, address: Address) -> bool:
        """Whether an address lies in it."""
        here = (address.topic, address.partition) == (self.topic, self.partition)
        return here and self.begin <= address.offset < self.end


@dataclass(frozen=True, slots=True)
class Origin:
    """The record that became a dead letter, as its headers say."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its body, whose `size` is in bytes.

    `id` is unique, even if a recreated topic has another letter at the same address. `replay_id`
    is set if the letter was itself a replay.
    """

    id: UUID
    address: Address
    at: datetime
    reason: str | None
    exception: str | None
    origin: Origin | None
    key: bytes | None
    size: int
    event_id: UUID | None
    replay_id: UUID | None
    replayed_from: Address | None


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """What the headers of a replay say; `letter` is None if it cannot be read."""

    id: UUID
    letter: Address | None


def read_letter(record: Record) -> Letter:
    """Read a record of a `.dlt` topic; what is missing or malformed is None."""
    own = {name: value for name, value in record.headers if name.startswith(OWN_HEADERS)}
    mark = replay_mark(record)
    return Letter(
        id=delivery_id(record),
        address=Address(record.topic, record.partition, record.offset),
        at=_instant(own.get("dlt-timestamp")) or instant_of(record.timestamp_ms),
        reason=_text(own.get("dlt-reason")),
        exception=_text(own.get("dlt-exception")),
        origin=_origin(own),
        key=record.key,
        size=len(record.value or b""),
        event_id=_event_id(record),
        replay_id=mark.id if mark else None,
        replayed_from=mark.letter if mark else None,
    )


def replay_mark(record: Record) -> ReplayMark | None:
    """Return which replay a record is, None if it is not one."""
    for name, value in reversed(record.headers):
        if name == REPLAY_ID:
            replay_id = _uuid(value)
            return ReplayMark(replay_id, _replayed_from(record)) if replay_id else None
    return None


def replay_message(record: Record, replay_id: UUID) -> OutboxMessage:
    """Build the record that replays a dead letter: the message as it first came."""
    kept = [header for header in record.headers if not header[0].startswith(OWN_HEADERS)]
    letter = Address(record.topic, record.partition, record.offset)
    added = [(REPLAY_ID, str(replay_id).encode()), (REPLAYED_FROM, str(letter).encode())]
    return OutboxMessage(original_topic(record.topic), record.key, record.value, (*kept, *added))


def original_topic(topic: str) -> str:
    """Return the topic whose messages become dead letters in `topic`."""
    return _ORIGINALS[topic]


def _replayed_from(record: Record) -> Address | None:
    address = dict(record.headers).get(REPLAYED_FROM, b"")
    try:
        return Address.parse(address.decode())
    except ValueError:
        return None


def _origin(own: dict[str, bytes]) -> Origin | None:
    try:
        return Origin(own["dlt-topic"].decode(), int(own["dlt-partition"]), int(own["dlt-offset"]))
    except (KeyError, ValueError):
        return None


def _event_id(record: Record) -> UUID | None:
    """Return the event's id: the envelope's, by which the service knows it, else the header's."""
    try:
        envelope = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        envelope = None
    event_id = envelope.get("event_id") if isinstance(envelope, dict) else None
    of_envelope = _uuid(event_id) if isinstance(event_id, str) else None
    return of_envelope or event_id_of(record.headers)


def event_id_of(headers: Sequence[tuple[str, bytes]]) -> UUID | None:
    """Return the event's id by the headers alone."""
    return _uuid(dict(headers).get("event_id", b""))


def _uuid(given: str | bytes) -> UUID | None:
    try:
        return UUID(given if isinstance(given, str) else given.decode())
    except ValueError:
        return None


def _instant(raw: bytes | None) -> datetime | None:
    try:
        found = datetime.fromisoformat((raw or b"").decode())
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def instant_of(milliseconds: int) -> datetime:
    """Convert Kafka's timestamp, which a producer can set to anything."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")
