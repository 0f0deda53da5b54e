"""The story of a batch for those who operate the service: ids, counts and instants, in order."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson

from rules import topics
from rules.dead_letters.letters import event_id_of, instant_of, read_letter, replay_mark
from rules.models import Method, PastDecision, Record, Status

#: What is sent with the batch's id as its key.
OF_BATCH: Final = (
    topics.ASSOCIATIONS_CONFIRMED,
    topics.ASSOCIATION_UPDATED,
    topics.TIMEOUT_PROCESSED,
    topics.TIMERS,
)
#: With the teacher's id.
OF_OWNER: Final = (topics.NOTIFICATION_REQUESTED,)
#: With any key, since others send it.
OF_OTHERS: Final = (topics.MATCHES_SUGGESTED, *topics.DEAD_LETTER)


class What(StrEnum):
    """The kind of a step, in the order of steps at one instant."""

    RECEIVED = "received"
    PARKED = "parked"
    SUGGESTED = "suggested"
    ARMED = "armed"
    NOTIFIED = "notified"
    DECIDED = "decided"
    CORRECTED = "corrected"
    CLASS_DELETED = "class_deleted"
    CLOSED = "closed"
    EVENT = "event"
    UNSENT = "unsent"
    SET_ASIDE = "set_aside"
    DEAD_LETTER = "dead_letter"


_ORDER: Final = tuple(What)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened; `details` are ids, counts and instants."""

    at: datetime
    what: What
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Essay:
    """An essay of a batch with every decision on it, the one that stands last.

    `was_suggested`: somebody was suggested who is no more: withdrawn, or deleted.
    """

    id: UUID
    created_at: datetime
    confirm_by: datetime
    is_suggested: bool
    was_suggested: bool
    decisions: tuple[PastDecision, ...]

    @property
    def was_armed(self) -> bool:
        """Whether it waited for a decision."""
        return not self.decisions or self.decisions[0].method is not Method.AUTO


@dataclass(frozen=True, slots=True)
class Parked:
    """A message that waits for its class, a student or an earlier message."""

    event_id: UUID
    topic: str
    partition: int
    offset: int
    at: datetime
    attempts: int
    next_try_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message of the outbox, since `at`; `set_aside_at` and `reason` if it is set aside.

    Without a reason it waits behind one that the broker refuses.
    """

    number: int
    topic: str
    event_id: UUID | None
    at: datetime
    set_aside_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch's own row; `class_id` also where that class `is_orphaned` of, being deleted.

    What is known of the deletion is kept for a while.
    """

    correlation_id: UUID
    class_id: UUID | None
    is_orphaned: bool
    owner_id: str | None
    created_at: datetime
    closed_at: datetime | None
    class_deleted_at: datetime | None = None
    class_deleted_by: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """What the store knows of a batch; `stored` is None while its first message is parked."""

    batch_id: UUID
    stored: StoredBatch | None
    essays: tuple[Essay, ...]
    parked: tuple[Parked, ...]
    unsent: tuple[Unsent, ...]

    @property
    def pending(self) -> list[Essay]:
        """The essays that wait for a decision."""
        return [essay for essay in self.essays if not essay.decisions]

    @property
    def begins(self) -> datetime | None:
        """When the service first stored something of it."""
        if self.stored:
            return self.stored.created_at
        return min((message.at for message in self.parked), default=None)


@dataclass(frozen=True, slots=True)
class Named:
    """A batch that an id names.

    `essays` are those stored, decided or corrected under it, if it is a correlation id.
    """

    batch_id: UUID
    essays: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchOfClass:
    """A batch in the list of its class."""

    batch_id: UUID
    created_at: datetime
    closed_at: datetime | None


@dataclass(slots=True)
class Events:
    """What the topics have of a batch, and why that may not be all.

    `is_cut_off`: they were not read to their ends in the time that there was.
    """

    steps: list[Step] = field(default_factory=list)
    trouble: str | None = None
    is_cut_off: bool = False


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Return steps by their instants; at one instant by what they are, and where they lie."""
    return sorted(steps, key=_place_in_story)


def _place_in_story(step: Step) -> tuple[datetime, int, str, int, int]:
    lies = step.details
    place = str(lies.get("topic", "")), lies.get("partition", 0), lies.get("offset", 0)
    return step.at, _ORDER.index(step.what), *place


def steps(story: Story) -> list[Step]:
    """Return what the store knows, in order."""
    decided, corrected = _decisions(story.essays)
    return in_order(
        [
            *(_parked(message) for message in story.parked),
            *_suggested(story.essays),
            *_grouped(What.DECIDED, decided),
            *_grouped(What.CORRECTED, corrected),
            *_ends(story.stored),
            *(_unsent(message) for message in story.unsent),
        ]
    )


def _parked(message: Parked) -> Step:
    details = {
        **_place(message.topic, message.partition, message.offset),
        "event_id": message.event_id,
        "attempts": message.attempts,
        "next_try_at": message.next_try_at,
        "deadline": message.deadline,
    }
    return Step(message.at, What.PARKED, details)


def _suggested(essays: Sequence[Essay]) -> Iterable[Step]:
    """Yield what each message brought: its essays have one instant."""
    messages: defaultdict[datetime, list[Essay]] = defaultdict(list)
    for essay in essays:
        messages[essay.created_at].append(essay)
    for at, brought in messages.items():
        suggested = sum(essay.is_suggested for essay in brought)
        withdrawn = sum(essay.was_suggested for essay in brought)
        counts = {
            "essays": len(brought),
            "suggested": suggested,
            "unmatched": len(brought) - suggested - withdrawn,
            "withdrawn": withdrawn,
        }
        yield Step(at, What.SUGGESTED, counts)
        armed = [essay for essay in brought if essay.was_armed]
        if armed:
            deadline = min(essay.confirm_by for essay in armed)
            yield Step(at, What.ARMED, {"essays": len(armed), "deadline": deadline})


def _decisions(essays: Iterable[Essay]) -> tuple[list[PastDecision], list[PastDecision]]:
    """Return the first decisions on essays, and the corrections."""
    decided = [essay.decisions for essay in essays if essay.decisions]
    return [first for first, *_ in decided], [one for _, *later in decided for one in later]


def _grouped(what: What, decisions: Iterable[PastDecision]) -> Iterable[Step]:
    """Yield what was decided at once."""
    groups: defaultdict[tuple[datetime, Method, str], Counter[bool]] = defaultdict(Counter)
    for one in decisions:
        groups[one.at, one.method, one.by][one.status is Status.REJECTED] += 1
    for (at, method, by), rejected in groups.items():
        counts = {"confirmed": rejected[False], "rejected": rejected[True]}
        yield Step(at, what, {"method": method.value, "by": by, **counts})


def _ends(stored: StoredBatch | None) -> Iterable[Step]:
    if stored and stored.class_deleted_at:
        details = {"class_id": stored.class_id, "by": stored.class_deleted_by}
        yield Step(stored.class_deleted_at, What.CLASS_DELETED, details)
    if stored and stored.closed_at:
        yield Step(stored.closed_at, What.CLOSED, {})


def _unsent(message: Unsent) -> Step:
    details = {"topic": message.topic, "event_id": message.event_id, "number": message.number}
    if message.set_aside_at is None:
        return Step(message.at, What.UNSENT, details)
    return Step(message.set_aside_at, What.SET_ASIDE, {**details, "reason": message.reason})


# --- what lies in Kafka -------------------------------------------------------------------------

_OF_TOPIC: Final = {
    topics.MATCHES_SUGGESTED: What.RECEIVED,
    topics.NOTIFICATION_REQUESTED: What.NOTIFIED,
    **dict.fromkeys(topics.DEAD_LETTER, What.DEAD_LETTER),
}
#: Which member says more about an event, and what it may say: other text stays unread.
_KINDS: Final = {
    topics.TIMERS: ("event", {"armed", "cleared"}),
    topics.NOTIFICATION_REQUESTED: (
        "notification_type",
        {
            "student_matches_suggested",
            "validation_timeout_processed",
            "student_associations_confirmed",
        },
    ),
}


def is_about(batch_id: UUID, key: bytes | None, value: bytes | None) -> bool:
    """Whether a message is about a batch: by what it says, or its key if it cannot be read."""
    named = _data(value).get("batch_id") if value else None
    found = _uuid(named) or _uuid((key or b"").decode(errors="replace"))
    return found == batch_id


def step_of(record: Record) -> Step:
    """Return what a record tells of its batch."""
    what = _OF_TOPIC.get(record.topic, What.EVENT)
    details = {
        **_place(record.topic, record.partition, record.offset),
        "event_id": event_id_of(record.headers) or _uuid(_envelope(record.value).get("event_id")),
    }
    if record.topic in _KINDS:
        member, known = _KINDS[record.topic]
        kind = _data(record.value).get(member)
        details["kind"] = kind if kind in known else None
    if what is What.DEAD_LETTER:
        details["reason"] = read_letter(record).reason
    mark = replay_mark(record)
    if mark and mark.letter:
        details["replay_of"] = str(mark.letter)
    return Step(instant_of(record.timestamp_ms), what, details)


def _place(topic: str, partition: int, offset: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "offset": offset}


def _data(value: bytes | None) -> Mapping[str, Any]:
    data = _envelope(value).get("data")
    return data if isinstance(data, dict) else {}


def _envelope(value: bytes | None) -> Mapping[str, Any]:
    try:
        envelope = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
