"""A request is repeated with its key until its outcome is known."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from devstack.ports import free_port
from faults import calls as module
from faults.calls import Calls
from faults.checker.findings import Kind
from faults.checker.index import Index
from faults.checker.keys import check
from faults.history import History, Op, Outcome
from faults.report import requests
from faults.world import World

Answer = Callable[[web.Request], Awaitable[web.Response]]

BODY = {"name": "9A", "course_codes": ["SV1"]}


async def cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def answer(status: int, body: object = None, **headers: str) -> Answer:
    async def answered(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named)

    return answered


UNAVAILABLE = answer(503, {})
UNDER_WAY = answer(409, {"error_code": "IDEMPOTENCY_CONFLICT"})
ONE_TOO_MANY = answer(429, {})
TOO_SLOW = answer(408, {})
MADE = answer(201, {"id": "c", "name": "9A"}, Location="/v1/classes/c")
REPLAYED = answer(
    201, {"id": "c", "name": "9A"}, Location="/v1/classes/c", Idempotent_Replayed="true"
)


@dataclass
class Heard:
    """What a service was asked, and what it answers."""

    answers: list[Answer]
    keys: list[str] = field(default_factory=list)
    correlations: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers["Idempotency-Key"])
        self.correlations.append(request.headers["X-Correlation-ID"])
        self.bodies.append(await request.read())
        return await self.answers.pop(0)(request)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPEAT_SECONDS", (0.0,))
    monkeypatch.setattr(module, "AT_ONCE", 0.0)
    monkeypatch.setattr(module, "AGAIN", 0.0)


@asynccontextmanager
async def service(*answers: Answer) -> AsyncIterator[tuple[Heard, Calls]]:
    heard = Heard(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", heard.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        assert server.port is not None
        yield heard, calling(session, server.port)


def calling(session: aiohttp.ClientSession, port: int) -> Calls:
    history = History(datetime.now(UTC))
    clock = asyncio.get_running_loop().time
    return Calls(session, [port], history, clock, random.Random(1))


async def asked(calls: Calls) -> Op:
    return await calls.do("class.create", "lärare", None, BODY)


async def test_what_is_unknown_is_asked_again_with_the_same_key_and_bytes() -> None:
    answers = (cut, UNAVAILABLE, UNDER_WAY, ONE_TOO_MANY, TOO_SLOW, REPLAYED)
    async with service(*answers) as (heard, calls):
        op = await asked(calls)
    assert (op.outcome, op.target, op.status) == (Outcome.ACKED, "c", 201)
    assert heard.keys == [op.id] * len(answers)
    assert len(set(heard.bodies)) == 1
    assert tuple(heard.correlations) == op.correlation_ids
    assert len(set(heard.correlations)) == len(answers)
    assert [one.is_replay for one in op.attempts] == [False] * 5 + [True]
    assert requests([op]) == {
        "requested": {"acked": 1},
        "requests": {"unknown": 5, "acked": 1},
        "repeated": 1,
        "replayed": 1,
        "answered_by_key": 1,
        "unknown_at_the_end": 0,
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "BATCH_CONFLICT"), (422, "IDEMPOTENCY_CONFLICT"), (404, "CLASS_NOT_FOUND")],
)
async def test_a_refusal_is_an_answer(status: int, code: str) -> None:
    async with service(answer(status, {"error_code": code})) as (heard, calls):
        op = await asked(calls)
    assert (op.outcome, op.status, len(heard.keys)) == (Outcome.REFUSED, status, 1)
    assert not op.is_open


async def test_who_was_refused_while_an_earlier_request_may_be_on_its_way_asks_once_more() -> None:
    async with service(cut, answer(404, {}), MADE) as (_, calls):
        op = await asked(calls)
        assert (op.outcome, op.is_open) == (Outcome.REFUSED, True)
        await calls.ask_again(op)
    assert (op.outcome, op.target, op.is_open) == (Outcome.ACKED, "c", False)


async def test_what_nobody_heard_is_not_repeated() -> None:
    async with aiohttp.ClientSession() as session:
        op = await asked(calling(session, free_port()))
    assert (op.outcome, len(op.attempts), op.is_open) == (Outcome.NEVER, 1, False)


async def test_what_is_broken_off_is_unknown_and_left_to_the_end() -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        begun.set()
        await never.wait()
        return web.Response()

    async with service(silent, REPLAYED) as (_, calls):
        asking = asyncio.create_task(asked(calls))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        [op] = calls.history.ops
        assert op.is_open
        assert requests([op])["unknown_at_the_end"] == 1
        assert [f.kind for f in check(Index(calls.history, World()))] == [Kind.STUCK]
        never.set()
        await calls.ask_again(op)
    assert op.outcome is Outcome.ACKED
    assert not list(check(Index(calls.history, World(keys={op.id: 201}))))


async def test_some_are_sent_twice_at_once_and_some_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1.0)
    monkeypatch.setattr(module, "AGAIN", 1.0)
    async with service(MADE, REPLAYED, REPLAYED) as (heard, calls):
        op = await asked(calls)
    assert heard.keys == [op.id] * 3
    assert sorted(one.is_replay for one in op.attempts) == [False, True, True]
    assert len({one.content for one in op.attempts}) == 1


@pytest.mark.parametrize(
    "other",
    [
        answer(
            201, {"id": "c", "name": "9B"}, Location="/v1/classes/c", Idempotent_Replayed="true"
        ),
        answer(
            201, {"id": "c", "name": "9A"}, Location="/v1/classes/d", Idempotent_Replayed="true"
        ),
        answer(
            200, {"id": "c", "name": "9A"}, Location="/v1/classes/c", Idempotent_Replayed="true"
        ),
    ],
)
async def test_an_answer_that_is_not_the_first_one_is_found(
    monkeypatch: pytest.MonkeyPatch, other: Answer
) -> None:
    monkeypatch.setattr(module, "AGAIN", 1.0)
    async with service(MADE, other) as (_, calls):
        op = await asked(calls)
    findings = list(check(Index(calls.history, World(keys={op.id: 201}))))
    assert [finding.kind for finding in findings] == [Kind.ALTERED]
