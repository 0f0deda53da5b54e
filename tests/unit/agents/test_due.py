"""The loops that have the clock decide: when they ask, for how much, and who gives way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest

from agents.jobs import due, overdue
from agents.jobs.clock import DatabaseClock
from agents.jobs.decisions import (
    BATCHES_AT_ONCE,
    CALLS_AT_ONCE,
    ClockDecisions,
    repeat_at_once,
)
from agents.jobs.due import DueLoop
from agents.jobs.overdue import OverdueLoop
from rules.models import Policy
from rules.timeouts import ESSAYS_AT_ONCE
from store.memory.maintenance import MemoryMaintenance
from store.memory.state import MemoryStore
from store.memory.timers import MemoryTimers
from store.protocols.timers import DecidedByClock
from tables.deadlines import DeadlineIndex
from telemetry.metrics import Metrics

SECONDS: Final = 10
HOUR: Final = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


class Decisions(MemoryTimers):
    """Notes what it is asked; decides so many batches in a call, each with one essay."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(Policy()))
        self.calls: list[list[UUID]] = []
        self.decided: dict[UUID, datetime] = {}
        self.fit = BATCHES_AT_ONCE
        self.page = overdue.FOUND_AT_ONCE
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False
        self.late: list[UUID] = []
        """Batches that are overdue until they are decided."""
        self.elsewhere: set[UUID] = set()
        """Those that another worker is deciding."""
        self.looks = 0

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        assert most == ESSAYS_AT_ONCE
        self.calls.append(list(batch_ids))
        await self.gate.wait()
        if self.fails:
            raise OSError
        taken = [i for i in batch_ids[: self.fit] if i not in self.elsewhere]
        self.decided |= dict.fromkeys(taken, now())
        return DecidedByClock(len(taken), (0.0,) * len(taken), tuple(batch_ids[self.fit :]))

    async def overdue(
        self, limit: int, grace_seconds: float, without: Collection[UUID] = ()
    ) -> list[UUID]:
        assert grace_seconds == overdue.GRACE_SECONDS
        self.looks += 1
        found = [i for i in self.late if i not in self.decided and i not in without]
        return found[: min(limit, self.page)]


class Parts:
    """What the loops are made of."""

    def __init__(self) -> None:
        self.index = DeadlineIndex()
        self.store = Decisions()
        self.decisions = ClockDecisions(self.store, Metrics())
        clock = DatabaseClock(MemoryMaintenance(MemoryStore(Policy())))
        self.due = DueLoop(self.index, clock, self.decisions)
        self.overdue = OverdueLoop(self.store, self.decisions, self.due)

    def set(self, count: int, deadline: datetime) -> list[UUID]:
        ids = [UUID(int=1000 + len(self.index) + n) for n in range(count)]
        for batch_id in ids:
            self.index.set(batch_id, deadline)
        return ids


@pytest.fixture
async def parts() -> Parts:
    return Parts()


@asynccontextmanager
async def running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run())
    await asyncio.sleep(0.01)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110  # an event would have to count, too
            await asyncio.sleep(0.005)


# --- the deadlines in memory -------------------------------------------------------------------


def test_next_deadline_is_the_soonest_that_still_holds() -> None:
    index = DeadlineIndex()
    assert index.next_deadline() is None
    start = now()
    for number in range(3):
        index.set(UUID(int=number), start + number * HOUR)
    assert index.next_deadline() == start
    index.discard(UUID(int=0))
    index.set(UUID(int=1), start + 5 * HOUR)
    assert index.next_deadline() == start + 2 * HOUR
    assert index.pop_due(start + 3 * HOUR, 10) == [UUID(int=2)]
    assert index.next_deadline() == start + 5 * HOUR


@pytest.mark.parametrize(("hours", "wakes"), [(0.5, True), (1, False), (2, False)])
async def test_only_a_sooner_deadline_ends_the_wait(hours: float, *, wakes: bool) -> None:
    index = DeadlineIndex()
    index.set(UUID(int=0), now())
    index.set(UUID(int=1), (start := now()) + HOUR)
    index.discard(UUID(int=0))
    waiting = asyncio.create_task(index.wait(HOUR.total_seconds()))
    await asyncio.sleep(0)
    index.set(UUID(int=2), start + hours * HOUR)
    await asyncio.sleep(0.05)
    assert waiting.done() is wakes
    waiting.cancel()
    await asyncio.wait([waiting])
    async with asyncio.timeout(SECONDS):
        await index.wait(0.01)


# --- the due loop ------------------------------------------------------------------------------


async def test_decided_at_the_deadline_and_not_before(parts: Parts) -> None:
    async with running(parts.due.run):
        deadline = now() + timedelta(seconds=0.2)
        [batch_id] = parts.set(1, deadline)
        await until(lambda: parts.store.decided)
    assert parts.store.decided[batch_id] >= deadline
    assert parts.store.calls == [[batch_id]]


async def test_sooner_deadline_is_not_slept_through(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "MAX_SLEEP_SECONDS", 1000.0)
    parts.set(1, now() + HOUR)
    async with running(parts.due.run):
        [sooner] = parts.set(1, now() + timedelta(seconds=0.05))
        await until(lambda: sooner in parts.store.decided)
        await asyncio.sleep(0.05)
    assert parts.store.calls == [[sooner]]


async def test_so_many_calls_at_once_and_no_more(parts: Parts) -> None:
    parts.store.gate.clear()
    parts.set((CALLS_AT_ONCE + 1) * BATCHES_AT_ONCE, now())
    async with running(parts.due.run):
        await until(lambda: len(parts.store.calls) == CALLS_AT_ONCE)
        await asyncio.sleep(0.05)
        assert len(parts.store.calls) == CALLS_AT_ONCE
        assert parts.due.behind
        parts.store.gate.set()
        await until(lambda: len(parts.store.decided) == (CALLS_AT_ONCE + 1) * BATCHES_AT_ONCE)
        await until(lambda: not parts.due.behind)
    asked = [batch_id for call in parts.store.calls for batch_id in call]
    assert len(asked) == len(set(asked)), "no batch in two calls"


async def test_what_was_left_is_decided_at_once_and_asked_for_in_fewer(parts: Parts) -> None:
    parts.store.fit = 8
    ids = parts.set(100, now())
    async with running(parts.due.run):
        await until(lambda: len(parts.store.decided) == len(ids))
    assert list(parts.store.decided) == ids, "soonest first"
    sizes = [len(call) for call in parts.store.calls]
    assert sizes[0] == 100
    assert max(sizes[1:]) <= 11, "not everything that is left is counted each time"

    parts.store.fit = BATCHES_AT_ONCE
    parts.store.calls.clear()
    async with running(parts.due.run):
        for batch_id in range(600):
            parts.index.set(UUID(int=batch_id), now())
        await until(lambda: len(parts.store.decided) == 700)
    assert max(len(call) for call in parts.store.calls) > 100, "and more again where more fits"


async def test_failure_ends_both_calls_and_the_next_run_goes_on(parts: Parts) -> None:
    parts.store.fails = True
    parts.set(1, now())
    with pytest.raises(OSError):  # noqa: PT011  # the store's own, as it is
        await asyncio.wait_for(parts.due.run(), SECONDS)
    assert not parts.due.behind
    parts.store.fails = False
    [batch_id] = parts.set(1, now())
    async with running(parts.due.run):
        await until(lambda: batch_id in parts.store.decided)


async def test_a_call_that_misses_its_cancellation_holds_up_no_failure() -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls == CALLS_AT_ONCE:
            raise OSError
        with suppress(asyncio.CancelledError) if calls == 1 else nullcontext():
            await asyncio.Event().wait()

    repeating = asyncio.create_task(repeat_at_once(call))
    await asyncio.wait([repeating], timeout=SECONDS)
    assert repeating.done()
    assert isinstance(repeating.exception(), OSError)


# --- the net under it --------------------------------------------------------------------------


@pytest.mark.parametrize("page", [overdue.FOUND_AT_ONCE, 300, 100])
async def test_overdue_batches_are_decided_once_two_calls_at_a_time(
    parts: Parts, page: int
) -> None:
    parts.store.page = page
    parts.store.late = [UUID(int=n) for n in range(3 * BATCHES_AT_ONCE + 1)]
    parts.store.gate.clear()
    async with running(parts.overdue.run):
        await until(lambda: len(parts.store.calls) == CALLS_AT_ONCE)
        await asyncio.sleep(0.05)
        assert len(parts.store.calls) == CALLS_AT_ONCE
        parts.store.gate.set()
        await until(lambda: len(parts.store.decided) == len(parts.store.late))
    asked = [batch_id for call in parts.store.calls for batch_id in call]
    assert sorted(asked) == parts.store.late, "no batch in two calls"


async def test_what_another_worker_decides_is_passed_and_asked_for_again_after_a_pause(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "POLL_SECONDS", 0.2)
    parts.store.late = [UUID(int=n) for n in range(2 * BATCHES_AT_ONCE)]
    parts.store.page = BATCHES_AT_ONCE
    first = parts.store.late[:BATCHES_AT_ONCE]
    parts.store.elsewhere = set(first)
    async with running(parts.overdue.run):
        await until(lambda: len(parts.store.decided) == BATCHES_AT_ONCE)
        assert parts.store.calls.count(first) == 1, "no turning in a circle"
        parts.store.elsewhere.clear()
        await until(lambda: len(parts.store.decided) == 2 * BATCHES_AT_ONCE)


async def test_what_cannot_be_decided_is_not_gathered_without_end(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "FOUND_AT_ONCE", 500)
    parts.store.late = [UUID(int=n) for n in range(2000)]
    parts.store.elsewhere = set(parts.store.late)
    async with running(parts.overdue.run):
        await until(lambda: len(parts.store.calls) == 2)
        await asyncio.sleep(0.1)
        assert len(parts.store.calls) <= 500 // BATCHES_AT_ONCE + CALLS_AT_ONCE


async def test_failure_ends_what_is_overdue_too_and_the_next_run_goes_on(parts: Parts) -> None:
    parts.store.late = [UUID(int=n) for n in range(2 * BATCHES_AT_ONCE)]
    parts.store.fails = True
    with pytest.raises(OSError):  # noqa: PT011  # the store's own, as it is
        await asyncio.wait_for(parts.overdue.run(), SECONDS)
    parts.store.fails = False
    async with running(parts.overdue.run):
        await until(lambda: len(parts.store.decided) == len(parts.store.late))


async def test_flood_is_left_to_the_due_loop_but_not_for_ever(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "POLL_SECONDS", 0.01)
    parts.due.behind = True
    parts.store.late = [UUID(int=1)]
    async with running(parts.overdue.run):
        await asyncio.sleep(0.1)
        assert parts.store.looks == 0
    monkeypatch.setattr(overdue, "PATIENCE_SECONDS", 0.05)
    async with running(parts.overdue.run):
        await until(lambda: parts.store.decided)
    parts.due.behind = False
    parts.store.looks = 0
    async with running(parts.overdue.run):
        await until(lambda: parts.store.looks > 3)
