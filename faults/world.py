"""The state at the end: PostgreSQL, every topic from its beginning, and the stream table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from faults.history import Headers
from faults.told import Told

Json = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """A record of a topic.

    There are millions of them: only their ids are kept, and the rest is decoded at each use.
    Kept, it would take four times the memory.
    """

    __slots__ = (
        "_correlation_id",
        "_event_id",
        "headers",
        "key",
        "offset",
        "partition",
        "timestamp_ms",
        "topic",
        "value",
    )

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def __post_init__(self) -> None:
        """Extract the ids."""
        envelope = self.envelope
        object.__setattr__(self, "_event_id", str(envelope.get("event_id")))
        object.__setattr__(self, "_correlation_id", str(envelope.get("correlation_id")))

    @property
    def envelope(self) -> Json:
        """The value, decoded; empty if it is not an object."""
        try:
            envelope = orjson.loads(self.value or b"")
        except orjson.JSONDecodeError:
            return {}
        return envelope if isinstance(envelope, dict) else {}

    @property
    def event_id(self) -> str:
        """The event id of the envelope as text; "None" if it has none."""
        found: str = self._event_id  # type: ignore[attr-defined]
        return found

    @property
    def correlation_id(self) -> str:
        """The correlation id of the envelope as text; "None" if it has none."""
        found: str = self._correlation_id  # type: ignore[attr-defined]
        return found

    @property
    def data(self) -> Json:
        """The data of the envelope; empty if it is not an object."""
        data = self.envelope.get("data")
        return data if isinstance(data, dict) else {}

    @property
    def text_key(self) -> str:
        """The key as text; empty if there is none."""
        return (self.key or b"").decode(errors="replace")

    def header(self, name: str) -> str | None:
        """Return the last header of this name."""
        found = [value for key, value in self.headers if key == name]
        return found[-1].decode(errors="replace") if found else None

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A row of `classes`; `version` counts its changes."""

    id: str
    owner: str
    name: str
    course: str
    version: int


@dataclass(frozen=True, slots=True)
class StudentRow:
    """A row of `students`; `version` counts its changes."""

    id: str
    owner: str
    first_name: str
    last_name: str
    email: str | None
    version: int
    is_placeholder: bool = False


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A row of `batches`; without a class if that has been deleted."""

    id: str
    class_id: str | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """How an essay was decided: as it is now, or before it was corrected."""

    essay_id: str
    student_id: str | None
    status: str
    method: str
    validated_by: str
    validated_at: datetime


@dataclass(frozen=True, slots=True)
class EssayRow:
    """An association."""

    essay_id: str
    batch_id: str
    suggested_student_id: str | None
    confidence: float
    student_id: str | None
    status: str
    method: str | None
    validated_by: str | None
    validated_at: datetime | None
    created_at: datetime
    confirm_by: datetime

    @property
    def decision(self) -> DecisionRow | None:
        """How it is decided now; None while it is pending."""
        if self.method is None or self.validated_by is None or self.validated_at is None:
            return None
        return DecisionRow(
            self.essay_id,
            self.student_id,
            self.status,
            self.method,
            self.validated_by,
            self.validated_at,
        )


@dataclass
class World:
    """Everything at the end.

    The keys of `progress` and `ends` are topic and partition; `drift` has the differences between
    table and PostgreSQL that the service reports, None if it could not be asked. `set_aside` are
    messages that the broker refuses, and those behind them, in their order.
    """

    classes: Mapping[str, ClassRow] = field(default_factory=dict)
    students: Mapping[str, StudentRow] = field(default_factory=dict)
    enrollments: frozenset[tuple[str, str]] = frozenset()
    batches: Mapping[str, BatchRow] = field(default_factory=dict)
    essays: Mapping[str, EssayRow] = field(default_factory=dict)
    history: Mapping[str, Sequence[DecisionRow]] = field(default_factory=dict)
    """By essay, the decisions that were corrected since, in order."""
    inbox: Mapping[str, str | None] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)
    """The status of the answer that is kept for each idempotency key."""
    outbox: int = 0
    parked: int = 0
    progress: Mapping[tuple[str, int], int] = field(default_factory=dict)
    ends: Mapping[tuple[str, int], int] = field(default_factory=dict)
    messages: Mapping[str, Sequence[Message]] = field(default_factory=dict)
    set_aside: Sequence[Message] = ()
    drift: Mapping[str, int] | None = field(default_factory=dict)
    timeout_seconds: float = 0.0
    told: Told | None = None
    """What a consumer of the changes knows, None if there was none."""

    def of(self, topic: str) -> Sequence[Message]:
        """Return a topic's records, each partition in order."""
        return self.messages.get(topic, ())

    def kept(self, topic: str) -> Sequence[Message]:
        """Return a topic's records, and those of the service that are set aside: not lost."""
        return (*self.of(topic), *(m for m in self.set_aside if m.topic == topic))

    @cached_property
    def firsts(self) -> Mapping[str, Sequence[Message]]:
        """By topic, the first record of each event: consumers ignore repetitions."""
        found: dict[str, list[Message]] = {}
        for topic in self.messages.keys() | {message.topic for message in self.set_aside}:
            seen: dict[str, Message] = {}
            for message in self.kept(topic):
                seen.setdefault(message.event_id, message)
            found[topic] = list(seen.values())
        return found

    def events(self, topic: str) -> Sequence[Message]:
        """Return a topic's events without repetitions."""
        return self.firsts.get(topic, ())

    def decisions(self, essay: EssayRow) -> Sequence[DecisionRow]:
        """Return all decisions on an essay, in order: the last one is how it is decided now."""
        past, now = self.history.get(essay.essay_id, ()), essay.decision
        return (*past, now) if now else past

    @cached_property
    def essays_of(self) -> Mapping[str, Sequence[EssayRow]]:
        """The associations of each batch."""
        found: defaultdict[str, list[EssayRow]] = defaultdict(list)
        for essay in self.essays.values():
            found[essay.batch_id].append(essay)
        return found
