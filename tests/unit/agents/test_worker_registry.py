"""A worker knows the others, and they know it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from agents.jobs import worker_registry as registry_module
from agents.jobs.worker_registry import FORGET_SECONDS, Presence, WorkerList
from rules.errors import StoreUnavailableError
from rules.models import Policy
from store.memory.state import MemoryStore
from store.memory.workers import MemoryWorkerRegistry
from store.protocols.workers import WorkerRecord
from tables.pending import PendingTable

SECONDS = 10


class Table:
    """The part of the table that says which partitions there are."""

    def __init__(self, *partitions: int) -> None:
        self.held = list(partitions)
        self.generation = 0
        self._changed = asyncio.Event()

    def partitions(self) -> list[int]:
        return self.held

    def hold(self, *partitions: int) -> None:
        self.held = list(partitions)
        self.generation += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, since: int, timeout_seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.generation == since:
                    await self._changed.wait()


class Registry(MemoryWorkerRegistry):
    """A registry that can be away, and that can take its time."""

    away = False
    slow: asyncio.Event | None = None

    async def announce(self, own: WorkerRecord, forget_seconds: float) -> list[WorkerRecord]:
        if self.away:
            raise StoreUnavailableError
        if self.slow:
            await self.slow.wait()
        return await super().announce(own, forget_seconds)

    async def withdraw(self, own: WorkerRecord) -> None:
        if self.away:
            raise StoreUnavailableError
        await super().withdraw(own)

    async def listed(self) -> dict[str, tuple[int, ...]]:
        return {r.worker: r.partitions for r in await self.known(FORGET_SECONDS)}


@pytest.fixture
def registry() -> Registry:
    return Registry(MemoryStore(Policy()))


def presence(name: str, table: Table) -> Presence:
    held = cast("PendingTable", table)
    return Presence(name, lambda: f"http://{name}", "1.2.3", "all", held)


@asynccontextmanager
async def running(workers: WorkerList) -> AsyncIterator[None]:
    task = asyncio.create_task(workers.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(look: Any) -> None:  # noqa: ANN401  # any coroutine function that tells
    async with asyncio.timeout(SECONDS):
        while not await look():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)


async def test_workers_find_each_other(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "ANNOUNCE_SECONDS", 0.02)
    a = WorkerList(registry, presence("a:1", Table(0, 1)))
    b = WorkerList(registry, presence("b:1", Table(2)))
    onlooker = WorkerList(registry, None)

    async def all_known() -> bool:
        found = [[p.worker for p in each.peers()] for each in (a, b, onlooker)]
        return found == [["b:1"], ["a:1"], ["a:1", "b:1"]]

    async with running(a), running(b), running(onlooker):
        await until(all_known)
    (seen,) = b.peers()
    assert (seen.url, seen.partitions, seen.version) == ("http://a:1", (0, 1), "1.2.3")
    assert await registry.listed() == {"a:1": (0, 1), "b:1": (2,)}
    assert (a.sharing(), b.sharing()) == (2, 2)


async def test_a_change_of_partitions_is_told_at_once(registry: Registry) -> None:
    table = Table(0)
    workers = WorkerList(registry, presence("a:1", table))

    async def told() -> bool:
        return await registry.listed() == {"a:1": tuple(table.held)}

    async with running(workers):  # announces itself again only after seconds
        await until(told)
        table.hold(0, 1, 2)
        await until(told)
        table.hold()
        await until(told)


async def test_the_last_known_peers_stay_while_the_database_is_away(registry: Registry) -> None:
    other = WorkerList(registry, presence("b:1", Table(1)))
    table = Table(0)
    workers = WorkerList(registry, presence("a:1", table))

    async def known() -> bool:
        return bool(workers.peers())

    async with running(other):
        await until(registry.listed)
    async with running(workers):
        await until(known)
        registry.away = True
        table.hold(0, 1)
        await asyncio.sleep(0.05)
        assert [p.worker for p in workers.peers()] == ["b:1"]
    with pytest.raises(StoreUnavailableError):
        await workers.run()


async def test_a_worker_that_stops_is_gone_and_stays_gone(registry: Registry) -> None:
    table = Table(0)
    workers = WorkerList(registry, presence("a:1", table))
    async with running(workers):
        await until(registry.listed)
        await workers.withdraw()
        table.hold()  # as a stop brings with it
        await asyncio.sleep(0.05)
        assert await registry.listed() == {}


async def test_a_withdrawal_waits_for_an_announcement_under_way(registry: Registry) -> None:
    registry.slow = asyncio.Event()
    table = Table(0)
    workers = WorkerList(registry, presence("a:1", table))
    async with running(workers):
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(workers.withdraw())
        await asyncio.sleep(0.05)
        registry.slow.set()
        await leaving
        assert await registry.listed() == {}


@pytest.mark.parametrize("how", ["away", "slow"])
async def test_a_withdrawal_holds_up_no_stop(registry: Registry, how: str) -> None:
    workers = WorkerList(registry, presence("a:1", Table(0)))
    if how == "slow":
        registry.slow = asyncio.Event()
    async with running(workers):
        await asyncio.sleep(0.05)
        registry.away = how == "away"
        async with asyncio.timeout(SECONDS):
            await workers.withdraw()


async def test_who_never_announced_itself_has_nothing_to_withdraw(registry: Registry) -> None:
    await WorkerList(registry, presence("a:1", Table(0))).withdraw()
    await WorkerList(registry, None).withdraw()
