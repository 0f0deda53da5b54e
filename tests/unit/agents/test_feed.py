"""The loop that numbers changes: when it looks, what it shows, and when it says that it is late."""

import asyncio
from collections.abc import Sequence
from math import isnan

import pytest

from agents.jobs.feed import LATE_LOOKS, LATE_SECONDS, FeedNumbering
from rules.errors import StoreUnavailableError
from rules.models import Policy
from store.memory.feed import MemoryFeed
from store.memory.state import MemoryStore
from telemetry.health import OK
from telemetry.metrics import Metrics


class Feed(MemoryFeed):
    """Says at each look how long something has been waiting, and ends the loop."""

    def __init__(self, waiting: Sequence[float | None]) -> None:
        super().__init__(MemoryStore(Policy()))
        self.waiting = list(waiting)
        self.numbered: list[float | None] = []
        self._last: float | None = None

    async def waiting_seconds(self) -> float | None:
        if not self.waiting:
            raise asyncio.CancelledError
        self._last = self.waiting.pop(0)
        return self._last

    async def number(self) -> int:
        self.numbered.append(self._last)
        return 1


class Away(Feed):
    async def waiting_seconds(self) -> float | None:
        raise StoreUnavailableError


async def run(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> tuple[FeedNumbering, float]:
    async def at_once(_seconds: float) -> None:
        pass

    metrics = Metrics()
    loop = FeedNumbering(feed, metrics)
    monkeypatch.setattr(asyncio, "sleep", at_once)
    with pytest.raises((asyncio.CancelledError, StoreUnavailableError)):
        await loop.run()
    lag = metrics.registry.get_sample_value("class_management_changes_feed_lag_seconds")
    assert lag is not None
    return loop, lag


async def test_what_waits_is_numbered_and_where_nothing_waits_nothing_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = Feed([None, 0.2, None, 0.4])
    loop, lag = await run(feed, monkeypatch)
    assert feed.numbered == [0.2, 0.4]
    assert (lag, loop.state()) == (0.4, OK)


async def test_the_lag_is_unknown_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, lag = await run(Away([]), monkeypatch)
    assert isnan(lag)


async def test_what_waits_too_long_is_said_and_one_slow_transaction_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = LATE_SECONDS + 1
    once, _ = await run(Feed([late, None] * LATE_LOOKS), monkeypatch)
    assert once.state() == OK
    always, _ = await run(Feed([late] * LATE_LOOKS), monkeypatch)
    assert always.state() == "changes have been waiting for 61 s to be told"
    again, _ = await run(Feed([*[late] * LATE_LOOKS, None]), monkeypatch)
    assert again.state() == OK
