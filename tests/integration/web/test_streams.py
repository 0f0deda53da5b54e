"""The stream of a user's real-time messages: who gets what, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from rules.models import Policy
from tests.integration.web.api import OTHER, TEACHER, Api, Setup, serving
from tests.integration.web.event_streams import STREAM, listening, message, until_open
from tests.integration.web.wire import wire
from tests.support.stores import memory_stores
from web.console.table import WITH_CONSOLE
from web.limits import ConnectionLimits
from web.notifications import streams as streams_module
from web.notifications.events import event_of
from web.notifications.streams import MOST_WAITING, Streams

ON_PAGES: Final = "/console/stream"
PATHS: Final = (STREAM, ON_PAGES)
#: Nothing is ever too slow, unless a test says so.
PATIENT: Final = ConnectionLimits(head_seconds=1e6, idle_seconds=1e6, write_seconds=1e6)
MOST: Final = 3


@dataclass(frozen=True)
class Served:
    """A service, and the streams that it has open."""

    api: Api
    streams: Streams
    lost: list[int]

    def gauge(self, name: str) -> float | None:
        registry = self.api.setup.metrics.registry
        return registry.get_sample_value(f"class_management_{name}")


@pytest.fixture
def limits(request: pytest.FixtureRequest) -> ConnectionLimits:
    return replace(PATIENT, **getattr(request, "param", {}))


@pytest.fixture
async def served(tmp_path: Path, limits: ConnectionLimits) -> AsyncIterator[Served]:
    lost: list[int] = []
    streams = Streams(lost.append)
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, streams=streams, limits=limits)
        async with serving(setup, tmp_path, WITH_CONSOLE) as api:
            yield Served(api, streams, lost)


@pytest.mark.parametrize("path", PATHS)
async def test_an_event_reaches_every_stream_of_its_user_and_no_other(
    served: Served, path: str
) -> None:
    async with (
        listening(served.api, path) as one,
        listening(served.api, path) as two,
        listening(served.api, path, OTHER) as other,
    ):
        served.streams.put(TEACHER, event_of(message(event_id=EVENT_ID, message="Å\n:\r\u2028")))
        served.streams.put(OTHER, event_of(message("student_matches_suggested")))
        for listener in (one, two):
            assert await listener.event() == {
                "event": "class_created",
                "id": EVENT_ID,
                "data": f'{{"event_id":"{EVENT_ID}","message":"Å\\n:\\r\u2028"}}',
            }
        assert (await other.event())["event"] == "student_matches_suggested"
    await until_open(served.streams, 0)
    assert not served.streams.users


EVENT_ID: Final = "0198f1c2-8d57-7c3e-9f0a-3b1d5e7c9a11"


async def test_its_head_says_what_it_is_and_that_nobody_may_hold_it_back(served: Served) -> None:
    async with listening(served.api) as listener:
        headers = listener.response.headers
        assert headers["Content-Type"] == "text/event-stream"
        assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert "Content-Encoding" not in headers
        assert headers["X-Correlation-ID"]


async def test_an_open_stream_is_no_request_under_way(served: Served) -> None:
    async with listening(served.api):
        assert served.gauge("http_requests_in_flight") == 0
        labels = {"method": "GET", "route": STREAM, "status": "200"}
        registry = served.api.setup.metrics.registry
        assert registry.get_sample_value("class_management_http_requests_total", labels) == 1


async def test_it_outlives_the_deadline_of_answers(tmp_path: Path) -> None:
    streams = Streams(lambda _: None)
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, streams=streams, timeout_seconds=0.05)
        async with serving(setup, tmp_path) as api, listening(api) as listener:
            await asyncio.sleep(0.2)
            streams.put(TEACHER, event_of(message()))
            assert (await listener.event())["event"] == "class_created"


async def test_a_silent_stream_has_comments(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "COMMENT_SECONDS", 0.01)
    async with listening(served.api) as listener:
        assert [await listener.block() for _ in range(2)] == [{"": ""}] * 2


async def test_who_comes_again_reads_what_there_is_anew(served: Served) -> None:
    async with listening(served.api, headers={"Last-Event-ID": "x"}) as listener:
        assert await listener.event() == {"event": "resync", "data": "{}"}
    async with listening(served.api) as listener:
        served.streams.put(TEACHER, event_of(message()))
        assert (await listener.event())["event"] == "class_created"


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_takes_no_place(served: Served, path: str) -> None:
    for version in ("1.0", "1.1"):
        async with wire(served.api.port) as connection:
            connection.send(f"HEAD {path} HTTP/{version}", "Host: x", "X-User-ID: t")
            answer = await connection.answer(has_body=False)
            assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
            assert served.streams.count == 0
            connection.get("/v1/classes")
            if version == "1.1":
                assert (await connection.answer()).status == 200


async def test_a_client_of_http_1_0_has_one_too_without_pieces(served: Served) -> None:
    async with wire(served.api.port) as connection:
        connection.get(STREAM, version="1.0")
        await until_open(served.streams, 1)
        served.streams.put("t", event_of(message()))
        served.streams.end()
        text = await connection.rest()
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body.startswith(b"retry: ")


async def test_nothing_is_left_of_a_client_that_goes_away(served: Served) -> None:
    for _ in range(3):
        async with listening(served.api):
            await until_open(served.streams, 1)
        await until_open(served.streams, 0)
    assert not served.streams.users


@pytest.mark.parametrize("limits", [{"write_seconds": 0.3}], indirect=True)
async def test_a_client_that_takes_nothing_is_cut_off_and_holds_little(served: Served) -> None:
    async with wire(served.api.port, receive_bytes=4096) as connection:
        connection.get(STREAM)
        await until_open(served.streams, 1)
        large = event_of(message(message="x" * 8_000))
        while served.streams.count:
            served.streams.put("t", large)
            await asyncio.sleep(0)
    assert sum(served.lost) > MOST_WAITING // len(large)
    assert not served.streams.users


async def test_a_slow_reader_loses_what_is_too_much_and_hears_of_it(served: Served) -> None:
    event = event_of(message(message="x" * 8_000))
    async with listening(served.api) as listener:
        for _ in range(MOST_WAITING // len(event) + 1):
            served.streams.put(TEACHER, event)
        served.streams.put(TEACHER, event_of(message("student_added_to_class")))
        assert (await listener.event())["event"] == "resync"
        assert (await listener.event())["event"] == "student_added_to_class"
    assert sum(served.lost) == MOST_WAITING // len(event) + 1


@pytest.mark.parametrize("limits", [{"user_streams": MOST}], indirect=True)
@pytest.mark.parametrize("path", PATHS)
async def test_one_user_has_so_many_and_others_have_theirs(served: Served, path: str) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            await stack.enter_async_context(listening(served.api, path))
        (await served.api.get(path)).problem(429, "TOO_MANY_REQUESTS")
        async with listening(served.api, path, OTHER):
            pass
    await until_open(served.streams, 0)
    async with listening(served.api, path):
        pass


@pytest.mark.parametrize("limits", [{"connections": 2 * MOST}], indirect=True)
async def test_streams_leave_connections_to_others(served: Served) -> None:
    async with AsyncExitStack() as stack:
        for number in range(MOST):
            await stack.enter_async_context(listening(served.api, user=f"teacher-{number}"))
        (await served.api.get(STREAM)).problem(503, "SERVICE_UNAVAILABLE")
        assert (await served.api.get("/v1/classes")).status == 200


async def test_many_at_once_are_no_more_than_the_limit(served: Served) -> None:
    async def ask() -> int:
        async with served.api.session.get(url, headers={"X-User-ID": "t"}) as response:
            statuses.append(response.status)
            if len(statuses) == 2 * most:
                served.streams.end()
            await response.read()
            return response.status

    url, most = f"http://127.0.0.1:{served.api.port}{STREAM}", PATIENT.user_streams
    statuses: list[int] = []
    found = await asyncio.gather(*(ask() for _ in range(2 * most)))
    assert sorted(found) == [200] * most + [429] * most


async def test_a_stop_ends_every_stream_at_once_and_opens_no_more(tmp_path: Path) -> None:
    streams, ended = Streams(lambda _: None), []

    async def follow(api: Api) -> None:
        async with listening(api) as listener:
            ended.append(await listener.rest())

    async with memory_stores(Policy()) as stores, asyncio.TaskGroup() as tasks:
        setup = Setup(stores, streams=streams, limits=replace(PATIENT, stop_seconds=1e6))
        async with serving(setup, tmp_path) as api:
            followers = [tasks.create_task(follow(api)) for _ in range(5)]
            await until_open(streams, 5)
            streams.end()
            await asyncio.wait(followers)
            (await api.get(STREAM)).problem(503, "SERVICE_UNAVAILABLE")
    assert ended == [b""] * 5


async def test_the_server_ends_them_itself_before_it_waits_for_requests(tmp_path: Path) -> None:
    streams = Streams(lambda _: None)
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, streams=streams, limits=replace(PATIENT, stop_seconds=1e6))
        async with serving(setup, tmp_path) as api, wire(api.port) as connection:
            connection.get(STREAM)
            await until_open(streams, 1)
        assert (streams.count, await connection.rest() != b"") == (0, True)


@pytest.mark.parametrize("path", PATHS)
async def test_nobody_hears_anything_without_saying_who_it_is(served: Served, path: str) -> None:
    for headers in ({}, {"X-User-ID": ""}, {"X-User-ID": "%FF"}):
        reply = await served.api.get(path, user=None, headers=headers)
        reply.problem(401, "AUTHENTICATION_REQUIRED")
    assert served.streams.count == 0
