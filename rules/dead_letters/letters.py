"""Dead letters as people look at them: which one is meant, where it came from, how it can be sent.

A letter is a record of a `.dlt` topic. Whatever it claims in its headers is only shown: where a
replay goes to follows from the topic in which the letter lies.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

import orjson

from rules import topics
from rules.dead_letters.messages import delivery_id
from rules.models import OutboxMessage, Record

#: All headers that dead letters and replays add to those of the message begin so.
OWN_HEADERS: Final = "dlt-"
#: Of a replayed record: which replay it is of, and the letter that was replayed.
REPLAY_ID: Final = "dlt-replay-id"
REPLAYED_FROM: Final = "dlt-replayed-from"

#: What people call the topics.
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
    """Where a dead letter lies; `topic` is one of `topics.DEAD_LETTER`."""

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
class Origin:
    """The record that became a dead letter, as its headers say."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its body.

    `id` differs from every other's, also from one's at the same address in a topic that was
    recreated. `size` is that of the body in bytes. `replay_id` is of a letter that was a replay.
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
    """What a record says of itself that is a replay; `letter` where it can be read."""

    id: UUID
    letter: Address | None


def read_letter(record: Record) -> Letter:
    """Read a record of a `.dlt` topic; what it does not say rightly is None."""
    told = {name: value for name, value in record.headers if name.startswith(OWN_HEADERS)}
    mark = replay_mark(record)
    return Letter(
        id=delivery_id(record),
        address=Address(record.topic, record.partition, record.offset),
        at=_instant(told.get("dlt-timestamp")) or _instant_of(record.timestamp_ms),
        reason=_text(told.get("dlt-reason")),
        exception=_text(told.get("dlt-exception")),
        origin=_origin(told),
        key=record.key,
        size=len(record.value or b""),
        event_id=_event_id(record),
        replay_id=mark.id if mark else None,
        replayed_from=mark.letter if mark else None,
    )


def replay_mark(record: Record) -> ReplayMark | None:
    """Tell whether a record is the replay of a dead letter, and of which."""
    for name, value in reversed(record.headers):
        if name == REPLAY_ID:
            replay_id = _uuid(value)
            return ReplayMark(replay_id, _replayed_from(record)) if replay_id else None
    return None


def replay_message(record: Record, replay_id: UUID) -> OutboxMessage:
    """Build the record that has a dead letter handled again: the message as it first came."""
    kept = [header for header in record.headers if not header[0].startswith(OWN_HEADERS)]
    letter = Address(record.topic, record.partition, record.offset)
    added = [(REPLAY_ID, str(replay_id).encode()), (REPLAYED_FROM, str(letter).encode())]
    return OutboxMessage(original_topic(record.topic), record.key, record.value, (*kept, *added))


def original_topic(topic: str) -> str:
    """Return the topic whose messages become dead letters in `topic`."""
    return _ORIGINALS[topic]


def _replayed_from(record: Record) -> Address | None:
    told = dict(record.headers).get(REPLAYED_FROM, b"")
    try:
        return Address.parse(told.decode())
    except ValueError:
        return None


def _origin(told: dict[str, bytes]) -> Origin | None:
    try:
        return Origin(
            told["dlt-topic"].decode(), int(told["dlt-partition"]), int(told["dlt-offset"])
        )
    except (KeyError, ValueError):
        return None


def _event_id(record: Record) -> UUID | None:
    """Return the event's id: that of the envelope, by which the service knows it, or the header."""
    try:
        envelope = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        envelope = None
    told = envelope.get("event_id") if isinstance(envelope, dict) else None
    of_envelope = _uuid(told) if isinstance(told, str) else None
    return of_envelope or _uuid(dict(record.headers).get("event_id", b""))


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


def _instant_of(milliseconds: int) -> datetime:
    """Return Kafka's timestamp, which is whatever the producer says."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")
