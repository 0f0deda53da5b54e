"""Real-time messages: as many as Redis takes, in their order, and nobody waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from agents.jobs import real_time
from agents.jobs.real_time import RealTimePusher
from rules import topics
from rules.events.notifications import Subject, matches_suggested, real_time_push
from rules.models import OutboxMessage, Trace
from store.clock import utc_now
from telemetry.metrics import Metrics

SECONDS = 10
BAD = (None, b"", b"no JSON", b"[]", b"null", b'{"data": {}}')


class Pipeline:
    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._commands: list[tuple[str, bytes]] = []

    def publish(self, channel: str, text: bytes) -> None:
        self._commands.append((channel, text))

    async def execute(self) -> None:
        await self._redis.open.wait()
        if self._redis.down:
            raise ConnectionError
        self._redis.took += self._commands


class Redis:
    """Takes everything, unless it is down or hangs."""

    def __init__(self) -> None:
        self.took: list[tuple[str, bytes]] = []
        self.down = False
        self.open = asyncio.Event()
        self.open.set()

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool) -> AsyncIterator[Pipeline]:
        assert not transaction
        yield Pipeline(self)


def notification(number: int, teacher: str = "lärare") -> OutboxMessage:
    subject = Subject(
        teacher,
        Trace(uuid4(), None),
        utc_now(),
        class_id=uuid4(),
        batch_id=uuid4(),
        deadline=utc_now(),
    )
    return matches_suggested(subject, number, 0)


def dropped(metrics: Metrics) -> float:
    return float(metrics.registry.get_sample_value("class_management_redis_dropped_total") or 0)


@asynccontextmanager
async def running(redis: Any, metrics: Metrics) -> AsyncIterator[RealTimePusher]:  # noqa: ANN401  # a stand-in
    pusher = RealTimePusher(redis, metrics)
    task = asyncio.create_task(pusher.run())
    try:
        yield pusher
    finally:
        task.cancel()


async def until(redis: Redis, count: int) -> None:
    async with asyncio.timeout(SECONDS):
        while len(redis.took) < count:  # noqa: ASYNC110  # an event would have to count, too
            await asyncio.sleep(0.001)


async def test_notifications_are_pushed_in_their_order_and_nothing_else_is() -> None:
    redis, metrics = Redis(), Metrics()
    sent = [notification(n) for n in range(3)]
    other = OutboxMessage(topics.CLASS_CREATED, b"k", b"no JSON", ())
    async with running(redis, metrics) as pusher:
        pusher.offer([other, sent[0], other])
        pusher.offer(sent[1:])
        await until(redis, 3)
    assert redis.took == [real_time_push(message) for message in sent]
    assert dropped(metrics) == 0


async def test_what_a_slow_redis_has_no_time_for_is_dropped_the_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(real_time, "MOST_WAITING", 5)
    monkeypatch.setattr(real_time, "AT_ONCE", 2)
    redis, metrics = Redis(), Metrics()
    redis.open.clear()
    sent = [notification(n) for n in range(10)]
    async with running(redis, metrics) as pusher:
        pusher.offer(sent[:2])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        pusher.offer(sent[2:])
        assert dropped(metrics) == 3
        redis.open.set()
        await until(redis, 7)
    assert redis.took == [real_time_push(m) for m in (*sent[:2], *sent[5:])]


async def test_a_redis_that_is_away_loses_messages_and_then_gets_the_next() -> None:
    redis, metrics = Redis(), Metrics()
    redis.down = True
    async with running(redis, metrics) as pusher:
        pusher.offer([notification(0), notification(1)])
        async with asyncio.timeout(SECONDS):
            while dropped(metrics) < 2:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)
        redis.down = False
        last = notification(2)
        pusher.offer([last])
        await until(redis, 1)
    assert redis.took == [real_time_push(last)]


async def test_one_that_cannot_be_read_stops_no_other() -> None:
    redis, metrics = Redis(), Metrics()
    before, after = notification(0), notification(1)
    bad = [replace(before, value=value) for value in BAD]
    async with running(redis, metrics) as pusher:
        pusher.offer([before, *bad, after])
        await until(redis, 2)
    assert redis.took == [real_time_push(before), real_time_push(after)]
    assert dropped(metrics) == len(BAD)


def test_a_browser_gets_what_the_contract_says() -> None:
    message = notification(7, "teacher-1")
    told = orjson.loads(message.value or b"")
    channel, text = real_time_push(message)
    assert channel == "ws:teacher-1"
    data = told["data"]
    assert orjson.loads(text) == {
        "event": "student_matches_suggested",
        "data": {
            "suggested_count": 7,
            "unmatched_count": 0,
            "message": data["payload"]["message"],
            "category": "student_workflow",
            "priority": "high",
            "action_required": True,
            "deadline": data["deadline_timestamp"],
            "batch_id": data["batch_id"],
            "class_id": data["class_id"],
            "correlation_id": data["correlation_id"],
            "timestamp": data["timestamp"],
            "event_id": told["event_id"],
        },
    }
