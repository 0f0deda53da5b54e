"""What the store's tests are made of: callers, classes, messages, and a relay that reads along."""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.class_pages import ClassQuery
from rules.events.envelopes import to_json
from rules.ids import new_id
from rules.models import (
    Caller,
    ClassRecord,
    Delivery,
    MatchResult,
    NewClass,
    NewStudent,
    OutboxMessage,
    PersonName,
    Policy,
    Record,
    StudentRecord,
    Suggestion,
    SuggestionMessage,
    Trace,
)
from rules.shards import SHARDS
from rules.suggestions import Outcome
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.commands import CommandRepositoryProtocol
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.email_keys import EmailKeysProtocol
from store.protocols.feed import FeedProtocol
from store.protocols.idempotency import IdempotencyProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.inbox import InboxProtocol
from store.protocols.maintenance import MaintenanceProtocol
from store.protocols.open_batches import OpenBatchesProtocol
from store.protocols.outbox import OutboxProtocol, Pack, Refusal
from store.protocols.overview import OverviewProtocol
from store.protocols.placeholders import PlaceholderProtocol
from store.protocols.progress import ProgressProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol
from store.protocols.timers import TimerProtocol
from store.protocols.workers import WorkerRegistryProtocol
from tests.support.past import Past
from tests.support.rosters import RosterReader

_offsets = itertools.count()

SOON: Final = timedelta(hours=1)
A_DAY: Final = timedelta(hours=24)


# --- what was published ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """An outbox message, read."""

    message: OutboxMessage

    @property
    def topic(self) -> str:
        return self.message.topic

    @property
    def key(self) -> str | None:
        return None if self.message.key is None else self.message.key.decode()

    @property
    def headers(self) -> dict[str, str]:
        return {name: value.decode() for name, value in self.message.headers}

    @property
    def envelope(self) -> dict[str, Any]:
        assert self.message.value is not None
        envelope: dict[str, Any] = orjson.loads(self.message.value)
        return envelope

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.envelope["data"]
        return data


@dataclass(frozen=True, slots=True)
class Stores:
    """One store of either kind.

    `elapse` makes time pass in it; `blocked` returns once something waits for what another holds.
    """

    classes: ClassRepositoryProtocol
    associations: AssociationRepositoryProtocol
    imports: ImportsProtocol
    inbox: InboxProtocol
    idempotency: IdempotencyProtocol
    timers: TimerProtocol
    open_batches: OpenBatchesProtocol
    queries: QueryProtocol
    outbox: OutboxProtocol
    set_aside: SetAsideProtocol
    stories: StoryProtocol
    overview: OverviewProtocol
    maintenance: MaintenanceProtocol
    workers: WorkerRegistryProtocol
    placeholders: PlaceholderProtocol
    progress: ProgressProtocol
    commands: CommandRepositoryProtocol
    dead_letters: DeadLetterProtocol
    email_keys: EmailKeysProtocol
    feed: FeedProtocol
    rosters: RosterReader
    past: Past
    elapse: Callable[[timedelta], Awaitable[None]]
    blocked: Callable[[], Awaitable[None]]

    async def published(self, *only: str) -> list[Published]:
        """Take what was published since the last call; `only` these topics if given.

        What has one shard is in order, and nothing else is: no consumer can rely on more. The
        shards come in an order of their own, or tests would find one by chance.
        """
        async with self.outbox.lease(range(SHARDS), SHARDS) as lease:
            packs: list[Pack] = []
            while more := await lease.fetch():
                await lease.end(more, {})
                packs += more
        packs.sort(key=lambda pack: (pack.shard, pack.id))
        read = [Published(message) for pack in packs for message in pack.messages]
        return [one for one in read if not only or one.topic in only]


MakeStores: TypeAlias = Callable[[Policy], Awaitable[Stores]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits in the outbox, under its number."""

    id: int
    message: OutboxMessage
    held: bool = False


def waiting_in(packs: Iterable[Pack]) -> list[Waiting]:
    """Return the messages of packs."""
    return [
        Waiting(pack.id + place, message, place in pack.held)
        for pack in packs
        for place, message in enumerate(pack.messages)
    ]


async def waiting_shards(outbox: OutboxProtocol) -> list[int]:
    """Return the shards in which something waits that nobody has leased."""
    async with outbox.lease(range(SHARDS), SHARDS) as lease:
        return sorted(lease.shards)


async def first_of(outbox: OutboxProtocol, shard: int) -> list[Waiting]:
    """Return what a lease of a shard fetches."""
    async with outbox.lease([shard], 1) as lease:
        return waiting_in(await lease.fetch())


async def take(outbox: OutboxProtocol, shard: int) -> list[Waiting]:
    """Publish a shard's messages, as the relay does."""
    async with outbox.lease([shard], 1) as lease:
        packs = await lease.fetch()
        await lease.end(packs, {})
    return waiting_in(packs)


async def put_aside(
    outbox: OutboxProtocol, shard: int, refused: Mapping[int, Refusal | None]
) -> None:
    """Set messages aside, and publish what else is in their packs."""
    async with outbox.lease([shard], 1) as lease:
        packs = [p for p in await lease.fetch() if refused.keys() & {w.id for w in waiting_in([p])}]
        await lease.end(packs, refused)


def by_topic(published: Iterable[Published]) -> dict[str, list[Published]]:
    found: dict[str, list[Published]] = {}
    for one in published:
        found.setdefault(one.topic, []).append(one)
    return found


def timers(published: Iterable[Published]) -> list[tuple[str, int | None]]:
    """Read what was said to the timers: (event, pending_count)."""
    return [
        (one.data["event"], one.data.get("pending_count"))
        for one in published
        if one.topic == topics.TIMERS
    ]


# --- classes and students ----------------------------------------------------------------------


def caller(user_id: str = "teacher-1", traceparent: str | None = None) -> Caller:
    return Caller(user_id, Trace(new_id(), traceparent))


def person(first: str, last: str, legal: str | None = None) -> PersonName:
    return PersonName(first, last, legal or f"{first} {last}")


def new_class(name: str = "9A", course: str = "SV1", class_id: UUID | None = None) -> NewClass:
    return NewClass(class_id or new_id(), name, course)


def new_student(
    first: str = "Åsa",
    last: str = "Öberg",
    email: str | None = None,
    class_ids: Sequence[UUID] = (),
    student_id: UUID | None = None,
) -> NewStudent:
    return NewStudent(student_id or new_id(), person(first, last), email, tuple(class_ids))


async def make_class(stores: Stores, teacher: Caller, new: NewClass | None = None) -> ClassRecord:
    [made] = await stores.classes.create_classes([NewClassRequest(teacher, new or new_class())])
    assert isinstance(made, ClassRecord)
    return made


async def classes_of(stores: Stores, owner_id: str) -> list[ClassRecord]:
    """Return the first hundred classes of an owner, newest first."""
    return [*(await stores.classes.list_classes(owner_id, ClassQuery(100))).classes]


async def make_student(stores: Stores, teacher: Caller, new: NewStudent) -> StudentRecord:
    [made] = await stores.classes.create_students([NewStudentRequest(teacher, new)])
    assert isinstance(made, StudentRecord)
    return made


@dataclass(frozen=True, slots=True)
class Classroom:
    """A class, its teacher and its students' ids, in the order of their creation."""

    teacher: Caller
    record: ClassRecord
    students: list[UUID]

    @property
    def id(self) -> UUID:
        return self.record.id


async def make_classroom(
    stores: Stores, size: int = 3, teacher: Caller | None = None, new: NewClass | None = None
) -> Classroom:
    """Make a class with students `First0 Last0`, ...; what that published is taken."""
    teacher = teacher or caller()
    record = await make_class(stores, teacher, new)
    wanted = [
        new_student(f"First{i}", f"Last{i}", f"s{i}.{record.id}@school.example", [record.id])
        for i in range(size)
    ]
    made = await stores.classes.create_students([NewStudentRequest(teacher, s) for s in wanted])
    assert all(isinstance(student, StudentRecord) for student in made)
    await stores.published()
    return Classroom(teacher, record, [student.id for student in wanted])


# --- suggestions -------------------------------------------------------------------------------


def suggest(
    student_id: UUID, confidence: float = 0.9, reasons: Sequence[str] = ("name_exact",)
) -> Suggestion:
    return Suggestion(student_id, confidence, tuple(reasons))


def result(
    *suggestions: Suggestion, essay_id: UUID | None = None, filename: str | None = None
) -> MatchResult:
    return MatchResult(essay_id or new_id(), suggestions, filename)


def deliver(
    class_id: UUID,
    *results: MatchResult,
    batch_id: UUID | None = None,
    traceparent: str | None = None,
) -> Delivery:
    """Make a message as Kafka delivers it."""
    batch_id = batch_id or new_id()
    message = SuggestionMessage(new_id(), Trace(new_id(), traceparent), batch_id, class_id, results)
    record = Record(
        topic=topics.MATCHES_SUGGESTED,
        partition=0,
        offset=next(_offsets),
        timestamp_ms=1_700_000_000_000,
        key=str(batch_id).encode(),
        value=_written(message),
        headers=(("event_id", str(message.event_id).encode()), ("odd", b"\xff\x00")),
    )
    return Delivery(record, message)


def anew(delivery: Delivery) -> Delivery:
    """Return the same message at another offset, as a replay brings it."""
    return replace(delivery, record=replace(delivery.record, offset=next(_offsets)))


def _written(message: SuggestionMessage) -> bytes:
    """Return what `parse` reads; JSON has no form for a named tuple."""
    results = [
        one._asdict() | {"suggestions": [s._asdict() for s in one.suggestions]}
        for one in message.results
    ]
    members = ("event_id", "trace", "batch_id", "class_id")
    return to_json({name: getattr(message, name) for name in members} | {"results": results})


def parse(record: Record) -> SuggestionMessage:
    """Read back what `deliver` wrote."""
    assert record.value is not None
    value = orjson.loads(record.value)
    trace = value["trace"]
    return SuggestionMessage(
        UUID(value["event_id"]),
        Trace(UUID(trace["correlation_id"]), trace["traceparent"]),
        UUID(value["batch_id"]),
        UUID(value["class_id"]),
        tuple(
            MatchResult(
                UUID(found["essay_id"]),
                tuple(
                    suggest(UUID(s["student_id"]), s["confidence"], s["match_reasons"])
                    for s in found["suggestions"]
                ),
                found["filename"],
            )
            for found in value["results"]
        ),
    )


async def store_one(stores: Stores, delivery: Delivery) -> Outcome:
    [outcome] = (await stores.inbox.store_suggestions([delivery])).outcomes
    return outcome


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch with its class and its essays, in the order of the match results."""

    room: Classroom
    delivery: Delivery

    @property
    def id(self) -> UUID:
        return self.delivery.message.batch_id

    @property
    def essays(self) -> list[UUID]:
        return [found.essay_id for found in self.delivery.message.results]


async def make_batch(
    stores: Stores, *confidences: float | None, room: Classroom | None = None
) -> StoredBatch:
    """Store a batch: essay `i` suggests student `i` with that confidence, None nobody.

    What that published is taken.
    """
    room = room or await make_classroom(stores, max(len(confidences), 3))
    results = [
        result() if confidence is None else result(suggest(room.students[i], confidence))
        for i, confidence in enumerate(confidences)
    ]
    delivery = deliver(room.id, *results)
    assert await store_one(stores, delivery) is Outcome.STORED
    await stores.published()
    return StoredBatch(room, delivery)
