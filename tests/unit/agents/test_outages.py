"""Each loop says once that it cannot use the database, and once that it can again."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from agents import outages
from agents.consumers.retry import with_retry
from agents.jobs import supervisor
from agents.jobs.clock import DatabaseClock
from agents.jobs.supervisor import Supervisor
from devstack.rig.waiting import until
from rules.errors import Cause, StoreBusyError, StoreUnavailableError
from store.client import current_client
from telemetry.metrics import Metrics

pytestmark = pytest.mark.simulated_time


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture])
    monkeypatch.setattr(outages, "_log", logger)
    monkeypatch.setattr(outages, "SETTLED_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.001)
    return capture


class Script:
    """A loop, or work: what it does at each step is an error, or None for a success."""

    def __init__(self, *steps: Exception | None) -> None:
        self._steps = list(steps)
        self.finished = asyncio.Event()

    async def __call__(self) -> None:
        while self._steps:
            if error := self._steps.pop(0):
                raise error
            if served := current_client().served:
                served()
        self.finished.set()
        await asyncio.sleep(0.1)
        if current_client().served is not None:
            await asyncio.sleep(60)


async def supervised(script: Script) -> None:
    loops = Supervisor({"due": script}, Metrics())
    await loops.start()
    await asyncio.wait_for(script.finished.wait(), 10)
    await asyncio.sleep(0.1)
    await loops.stop()


def told(log: LogCapture) -> list[tuple[Any, ...]]:
    return [(line["event"], line.get("loop") or line.get("component")) for line in log.entries]


AWAY = StoreUnavailableError(cause=Cause.UNREACHABLE)
BUSY = StoreBusyError()


async def test_a_loop_is_away_and_back_in_pairs(log: LogCapture) -> None:
    await supervised(Script(None, AWAY, AWAY, AWAY, None))
    assert told(log) == [("database away, loop waits", "due"), ("database back", "due")]
    assert log.entries[0]["cause"] == "unreachable"


async def test_a_loop_that_fails_again_at_once_was_not_back(log: LogCapture) -> None:
    await supervised(Script(AWAY, None, AWAY, None, AWAY, None))
    assert told(log) == [("database away, loop waits", "due"), ("database back", "due")]


async def test_a_pool_that_is_in_use_is_not_called_a_database_that_is_away(
    log: LogCapture,
) -> None:
    await supervised(Script(BUSY, BUSY, None))
    assert told(log) == [("no connection free, waiting", "due"), ("connections free again", "due")]


async def test_a_database_that_goes_away_while_all_are_waiting_is_told(log: LogCapture) -> None:
    await supervised(Script(BUSY, AWAY, None))
    assert [event for event, _ in told(log)] == [
        "no connection free, waiting",
        "database away, loop waits",
        "database back",
    ]


async def test_a_consumer_is_away_and_back_in_pairs(log: LogCapture) -> None:
    await with_retry(Script(AWAY, AWAY), "suggestions", Metrics())
    assert told(log) == [
        ("database away, retrying", "suggestions"),
        ("database back", "suggestions"),
    ]


class Maintenance:
    """PostgreSQL's clock, which answers as `answers` say."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = list(answers)

    async def ping(self) -> datetime:
        if error := self._answers.pop(0):
            raise error
        return datetime.now(UTC)


async def test_a_loop_is_back_with_the_clock_that_another_loop_read(log: LogCapture) -> None:
    maintenance: Any = Maintenance(AWAY, None)
    clock = DatabaseClock(maintenance)
    finished = asyncio.Event()

    async def horizon() -> None:
        await clock.now()
        finished.set()
        await asyncio.sleep(60)

    loops = Supervisor({"horizon": horizon}, Metrics())
    await loops.start()
    await until("a loop that is away", lambda: asyncio.sleep(0, log.entries), pause_seconds=0)
    await clock.now()
    await asyncio.wait_for(finished.wait(), 10)
    await asyncio.sleep(0.1)
    await loops.stop()
    assert told(log) == [("database away, loop waits", "horizon"), ("database back", "horizon")]
