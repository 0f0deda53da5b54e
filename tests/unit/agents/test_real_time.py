"""Real-time messages: as many as Redis takes, in their order, and nobody waits for them."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import hiredis
import orjson
import pytest
from redis.exceptions import ResponseError

from agents.jobs import real_time
from agents.jobs.real_time import RealTimePusher
from rules import topics
from rules.events.notifications import Subject, matches_suggested, real_time_push
from rules.models import OutboxMessage, Trace
from store.clock import utc_now
from telemetry.metrics import Metrics

SECONDS = 10
BAD = (None, b"", b"no JSON", b"[]", b"null", b'{"data": {}}')


class Redis:
    """Takes everything, unless it is down, hangs or refuses; stands in for its connections, too."""

    socket_timeout = SECONDS

    def __init__(self) -> None:
        self.took: list[tuple[bytes, bytes]] = []
        self.down = False
        self.refuses = 0
        self.open = asyncio.Event()
        self.open.set()
        self.answers: list[int | Exception] = []
        self.lent = 0

    @property
    def connection_pool(self) -> "Redis":
        return self

    async def get_connection(self) -> "Redis":
        self.lent += 1
        return self

    async def release(self, connection: "Redis") -> None:
        assert connection is self
        self.lent -= 1

    async def send_packed_command(self, packed: bytes) -> None:
        await self.open.wait()
        if self.down:
            raise ConnectionError
        reader = hiredis.Reader()
        reader.feed(packed)
        while commands := reader.gets():
            name, channel, text = commands
            assert name == b"PUBLISH"
            if self.refuses:
                self.refuses -= 1
                self.answers.append(ResponseError("NOPERM"))
            else:
                self.took.append((channel, text))
                self.answers.append(1)

    async def read_response(self, *, timeout: float) -> int:  # noqa: ASYNC109  # redis-py's
        assert timeout == math.inf
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def disconnect(self, *, nowait: bool) -> None:
        assert nowait
        self.answers.clear()


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


async def test_after_a_refusal_no_answer_is_taken_for_that_of_another_message() -> None:
    redis, metrics = Redis(), Metrics()
    redis.refuses = 1
    async with running(redis, metrics) as pusher:
        pusher.offer([notification(0), notification(1)])
        async with asyncio.timeout(SECONDS):
            while dropped(metrics) < 2:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)
        assert (redis.answers, redis.lent) == ([], 0)
        last = notification(2)
        pusher.offer([last])
        await until(redis, 2)
    assert redis.took[-1] == real_time_push(last)
    assert dropped(metrics) == 2


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
    assert channel == b"ws:teacher-1"
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
