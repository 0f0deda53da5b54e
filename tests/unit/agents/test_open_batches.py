"""The loop that closes open batches: when it looks, how far, and what it says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
from structlog.testing import capture_logs

from agents.jobs import open_batches
from agents.jobs.open_batches import BATCHES_AT_ONCE, OpenBatchesLoop
from rules.ids import new_id
from rules.open_batches import Ending, Settled
from telemetry.metrics import Metrics

SECONDS: Final = 10
DELETED: Final = Settled(new_id(), Ending.CLASS_DELETED, rejected=3)
UNKNOWN: Final = Settled(new_id(), Ending.CLASS_UNKNOWN)
IDLE: Final = Settled(new_id(), Ending.NOTHING_PENDING)
FAILED: Final = Settled(new_id(), None, error=ValueError("Åsa"))


class Store:
    """Closes what it is told to, and notes what it is asked."""

    def __init__(
        self, of_deleted: Sequence[list[Settled]] = (), idle: Sequence[list[Settled]] = ()
    ) -> None:
        self._of_deleted, self._idle = list(of_deleted), list(idle)
        self.asked: list[str] = []

    async def settle(self, limit: int) -> list[Settled]:
        assert limit == BATCHES_AT_ONCE
        self.asked.append("deleted")
        return self._of_deleted.pop(0) if self._of_deleted else []

    async def settle_idle(self, limit: int) -> list[Settled]:
        assert limit == BATCHES_AT_ONCE
        self.asked.append("all")
        return self._idle.pop(0) if self._idle else []

    async def asked_for(self, times: int) -> list[str]:
        async with asyncio.timeout(SECONDS):
            while len(self.asked) < times:  # noqa: ASYNC110  # the store is asked by a loop
                await asyncio.sleep(0)
        return self.asked[:times]


@asynccontextmanager
async def running(store: Store, metrics: Metrics, interval: float = 3600) -> AsyncIterator[None]:
    loop = asyncio.create_task(OpenBatchesLoop(store, metrics, interval).run())
    yield
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_batches, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(open_batches, "FAILURE_SECONDS", 0.001)


async def test_looks_at_all_open_batches_at_the_start_and_then_at_deleted_classes() -> None:
    store = Store()
    async with running(store, Metrics()):
        assert await store.asked_for(5) == ["deleted", "all", *["deleted"] * 3]


async def test_looks_at_all_again_after_the_interval_and_while_it_finds_some() -> None:
    store = Store(idle=[[IDLE], [IDLE], []])
    async with running(store, Metrics()):
        assert await store.asked_for(8) == [*["deleted", "all"] * 3, "deleted", "deleted"]
    store = Store()
    async with running(store, Metrics(), interval=0):
        assert await store.asked_for(4) == ["deleted", "all"] * 2


async def test_says_what_it_closed_and_why() -> None:
    store, metrics = Store([[DELETED, UNKNOWN], [FAILED]], [[IDLE]]), Metrics()
    with capture_logs() as logs:
        async with running(store, metrics):
            await store.asked_for(6)
    said = {str(line["batch_id"]): (line["log_level"], line["event"]) for line in logs}
    assert said == {
        str(DELETED.batch_id): ("info", "batch of a deleted class closed"),
        str(UNKNOWN.batch_id): ("warning", "batch of an unknown class closed without an event"),
        str(IDLE.batch_id): ("info", "batch with nothing to decide closed"),
        str(FAILED.batch_id): ("error", "batch could not be closed"),
    }
    for ending in Ending:
        value = metrics.registry.get_sample_value(
            "class_management_batches_settled_total", {"ending": ending.value}
        )
        assert value == 1
    failures = {"component": "open batches"}
    assert metrics.registry.get_sample_value("class_management_retries_total", failures) == 1


async def test_batch_that_cannot_be_closed_is_tried_again_after_a_longer_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_batches, "FAILURE_SECONDS", 3600)
    store = Store([[FAILED]])
    async with running(store, Metrics()):
        await store.asked_for(2)
        await asyncio.sleep(0.05)
        assert store.asked == ["deleted", "all"]
    store = Store([[FAILED, DELETED]])
    async with running(store, Metrics()):
        await store.asked_for(5)
