"""Stores that fail or hang, and stand-ins for what the composition root gives the views."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from rules.changes import NewClassRequest
from rules.errors import ServiceError, StoreUnavailableError
from rules.ids import new_id
from rules.models import ClassRecord
from rules.topics import DEAD_LETTER, MATCHES_SUGGESTED
from store.protocols.workers import WorkerRecord
from tables.entries import EntryPage, EntryQuery, Holding, Reconciliation, TableEntry, WorkerTable
from telemetry.health import HealthReport
from telemetry.status import Dependency, Lag, Letters, Requests, Status

SECRET: Final = "SELECT name FROM students"
Behaviour = Callable[[], Awaitable[Any]]


class Misbehaving:
    """Meets every protocol of the store: whatever is called does the same."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*_args: object, **_options: object) -> object:
            return await self._behaviour()

        return call


@dataclass(frozen=True)
class FakeBackend:
    """A store of which each protocol is a stand-in."""

    classes: Any
    associations: Any
    inbox: Any
    timers: Any
    queries: Any
    idempotency: Any
    imports: Any
    feed: Any

    @classmethod
    def all_of(cls, standin: object) -> Self:
        """Have one stand-in meet every protocol."""
        return cls(*(standin for _ in fields(cls)))


async def unavailable() -> None:
    raise StoreUnavailableError(SECRET)


async def unexpected() -> None:
    raise RuntimeError(SECRET)


async def internal() -> None:
    raise ServiceError(SECRET)


async def cancelled() -> None:
    raise asyncio.CancelledError


class Hang:
    """A database call that neither answers nor reacts to its cancellation."""

    def __init__(self) -> None:
        self.cancellations = 0
        self.error: Exception | None = None
        self._released = asyncio.Event()

    async def __call__(self) -> None:
        while not self._released.is_set():
            try:
                await self._released.wait()
            except asyncio.CancelledError:
                self.cancellations += 1
        if self.error:
            raise self.error

    def release(self, error: Exception | None = None) -> None:
        self.error = error
        self._released.set()


class SlowClasses:
    """Makes one class, in two steps that a test can look between."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.finished = asyncio.Event()
        self.requests: list[NewClassRequest] = []

    async def create_classes(
        self, requests: Sequence[NewClassRequest]
    ) -> list[ClassRecord | ServiceError]:
        self.requests += requests
        self.begun.set()
        await self.go_on.wait()
        self.finished.set()
        now = datetime.now(UTC)
        new, owner = requests[0].new, requests[0].caller.user_id
        return [ClassRecord(new.id, owner, new.name, new.course_code, 0, 1, now, now)]


GOOD: Final = HealthReport(
    ok=True,
    checks={"event_loop": "ok"},
    dependencies={"database": "ok", "kafka": "ok", "redis": "ok", "stream": "ok"},
)


@dataclass
class FakeHealth:
    report: HealthReport = GOOD

    async def live(self) -> HealthReport:
        return self.report

    async def ready(self) -> HealthReport:
        return self.report

    async def full(self) -> HealthReport:
        return self.report


PARTITIONS: Final = 8
START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(number: int, class_id: UUID | None = None, worker: str = "w1") -> TableEntry:
    """Return an entry that falls due `number` // 2 minutes after START: two at a time."""
    confirm_by = START + timedelta(minutes=number // 2, microseconds=1)
    batch_id = new_id()
    return TableEntry(
        batch_id,
        class_id or new_id(),
        number + 1,
        confirm_by,
        START,
        partition_of(batch_id),
        worker,
    )


@dataclass
class FakeTables:
    """One worker's part of the table; all of it, by default."""

    entries: list[TableEntry] = field(default_factory=list)
    worker: str = "w1"
    partitions: Sequence[int] = range(PARTITIONS)
    recovered: bool = True
    queries: list[EntryQuery] = field(default_factory=list)

    def holding(self) -> Holding:
        return Holding(self.worker, list(self.partitions), self.recovered)

    async def table(self) -> WorkerTable:
        return WorkerTable(
            self.worker, list(self.partitions), len(self.entries), self.recovered, 0, reachable=True
        )

    async def pending(self, query: EntryQuery) -> EntryPage:
        self.queries.append(query)
        found = sorted(
            (e for e in self.entries if self._wanted(e, query)),
            key=lambda e: (e.confirm_by, e.batch_id),
        )
        return EntryPage(found[: query.limit], len(found) > query.limit)

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        return next((e for e in self.entries if e.batch_id == batch_id), None)

    def _wanted(self, one: TableEntry, query: EntryQuery) -> bool:
        behind = query.after is None or (one.confirm_by, one.batch_id) > query.after
        of_class = query.class_id is None or one.class_id == query.class_id
        due = query.due_before is None or one.confirm_by < query.due_before
        return behind and of_class and due


GOOD_STATUS: Final = Status(
    version="1.2.3",
    role="all",
    started_at=START,
    health="healthy",
    checks={"topics": "ok"},
    dependencies=[Dependency(name, "ok", START) for name in ("database", "kafka", "redis")],
    lag=[Lag(MATCHES_SUGGESTED, 0, 0)],
    changelog_lag=0,
    timers_held=4,
    decided=12,
    late=0,
    dead_letters=[Letters(topic, 0) for topic in DEAD_LETTER],
    requests=Requests(60.0, 100, 2, 0),
)


@dataclass
class FakeStatus:
    """What a process says of itself."""

    status: Status = GOOD_STATUS

    async def now(self) -> Status:
        return self.status


@dataclass
class FakeReconciler:
    """Takes note of what it is asked for."""

    last: Reconciliation | None = None
    requests: list[bool] = field(default_factory=list)

    def request(self, *, repair: bool) -> None:
        self.requests.append(repair)


@dataclass
class FakePeers:
    """The other workers, as a test has them."""

    records: list[WorkerRecord] = field(default_factory=list)
    own: WorkerRecord | None = None

    def peers(self) -> list[WorkerRecord]:
        return self.records


def partition_of(batch_id: UUID) -> int:
    """Put batches into partitions in a way that a test can see through."""
    return batch_id.bytes[-1] % PARTITIONS
