"""Connections: none is held open for ever, and however many there are, operations are answered."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

import pytest

from devstack.ports import LOOPBACK
from devstack.rig.waiting import until
from rules.errors import StoreUnavailableError
from rules.models import Policy
from rules.tags import tag_of
from tests.integration.web.api import OTHER, TEACHER, Api, Setup, serving
from tests.integration.web.fakes import FakeBackend, Hang, Misbehaving, unexpected
from tests.integration.web.wire import PATIENCE, Wire, wire
from tests.support.stores import memory_stores
from web.limits import ConnectionLimits

CLASSES: Final = "/v1/classes"
A_CLASS: Final = f"{CLASSES}/00000000-0000-7000-8000-000000000000"
OPERATIONS: Final = ("/livez", "/readyz", "/healthz", "/metrics")
SOON: Final = 0.5
NEVER: Final = 1e6
PATIENT: Final = ConnectionLimits(
    head_seconds=NEVER, idle_seconds=NEVER, body_seconds=NEVER, write_seconds=NEVER
)


A_DOCUMENT: Final = (
    b'{"id": "00000000-0000-7000-8000-000000000000", "name": "%b", "course_code": "SV1", '
    b'"external_id": null, "student_count": 0, "created_at": "2026-03-02T08:05:00Z", '
    b'"updated_at": "2026-03-02T08:05:00Z", "students": []}'
)


class LargeClasses:
    """Has one class with a large document, whoever asks."""

    def __init__(self, size: int) -> None:
        self.document = A_DOCUMENT % (b"x" * (size + 2 - len(A_DOCUMENT)))

    async def class_document(self, _owner_id: str | None, _class_id: UUID) -> bytes:
        return self.document


class HeldClasses(LargeClasses):
    """Answers one user only once it may go on."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.go_on = asyncio.Event()
        self.reading = self.most = 0

    async def class_document(self, owner_id: str | None, class_id: UUID) -> bytes:
        if owner_id == TEACHER:
            self.reading += 1
            self.most = max(self.most, self.reading)
            await self.go_on.wait()
            self.reading -= 1
        return await super().class_document(owner_id, class_id)

    async def roster_document(self, _class_id: UUID, _owner_id: str | None) -> bytes:
        return b'{"students": []}'


@asynccontextmanager
async def limited(directory: Path, **limits: Any) -> AsyncIterator[Api]:  # noqa: ANN401  # the limits'
    """Serve from memory with other limits; without a limit nothing is ever too slow."""
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, limits=replace(PATIENT, **limits))
        async with serving(setup, directory) as api:
            yield api


@asynccontextmanager
async def large(directory: Path, size: int, **limits: Any) -> AsyncIterator[Api]:  # noqa: ANN401  # the limits'
    """Serve a class whose document has `size` bytes."""
    standin = Misbehaving(unexpected)
    store = replace(FakeBackend.all_of(standin), classes=LargeClasses(size))
    async with serving(Setup(store, limits=replace(PATIENT, **limits)), directory) as api:
        yield api


@contextmanager
def silent(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Hold connections open that say nothing."""
    with ExitStack() as stack:
        connect = socket.create_connection
        yield [stack.enter_context(connect((LOOPBACK, port))) for _ in range(count)]


def open_connections(api: Api) -> int:
    value = api.setup.metrics.registry.get_sample_value("class_management_http_connections")
    assert value is not None
    return int(value)


async def until_open(api: Api, count: int) -> None:
    async def as_many() -> bool:
        return open_connections(api) == count

    await until(f"{count} open connections", as_many, lambda: open_connections(api))


# --- too slow -------------------------------------------------------------------------------------


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async with limited(tmp_path, head_seconds=SOON) as api, wire(api.port) as silent_one:
        assert await silent_one.rest() == b""


async def drip(connection: Wire, text: bytes) -> None:
    """Send byte by byte, for ever."""
    while not connection.writer.is_closing():
        for byte in text:
            connection.writer.write(bytes([byte]))
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("before", [False, True])
async def test_a_head_that_comes_byte_by_byte_is_ended_with_408(
    tmp_path: Path, *, before: bool
) -> None:
    async with limited(tmp_path, head_seconds=SOON) as api, wire(api.port) as slow:
        if before:  # on a connection that has been used
            slow.get(CLASSES)
            assert (await slow.answer()).status == 200
        slow.writer.write(b"GET /v1/classes HTTP/1.1\r\n")
        dripping = asyncio.create_task(drip(slow, b"X: y\r\n"))
        answer = await slow.answer()
        answer.problem(408, "BAD_REQUEST")
        assert answer.headers["connection"] == "close"
        assert await slow.rest() == b""
        dripping.cancel()


async def test_a_connection_that_is_idle_between_requests_is_closed(tmp_path: Path) -> None:
    async with limited(tmp_path, idle_seconds=SOON) as api, wire(api.port) as idle:
        idle.get(CLASSES)
        assert (await idle.answer()).status == 200
        assert await idle.rest() == b""


async def test_idle_time_is_not_the_time_for_a_head(tmp_path: Path) -> None:
    async with limited(tmp_path, head_seconds=SOON) as api, wire(api.port) as idle:
        for _ in range(2):
            idle.get(CLASSES)
            assert (await idle.answer()).status == 200
            await asyncio.sleep(4 * SOON)


@pytest.mark.parametrize("begun", [b"", b'{"name": '])
@pytest.mark.parametrize("form", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_arrive_is_408(tmp_path: Path, begun: bytes, form: str) -> None:
    body = b"%x\r\n%s\r\n" % (len(begun), begun) if begun and "chunked" in form else begun
    async with limited(tmp_path, body_seconds=SOON) as api, wire(api.port) as slow:
        slow.send("POST /v1/classes HTTP/1.1", "Host: x", "X-User-ID: t", form, body=body)
        answer = await slow.answer()
        answer.problem(408, "BAD_REQUEST")
        assert answer.headers["connection"] == "close"


async def test_a_body_that_comes_byte_by_byte_is_408(tmp_path: Path) -> None:
    async with limited(tmp_path, body_seconds=SOON) as api, wire(api.port) as slow:
        head = ("POST /v1/classes HTTP/1.1", "Host: x", "X-User-ID: t", "Content-Length: 99999")
        slow.send(*head)
        dripping = asyncio.create_task(drip(slow, b" "))
        (await slow.answer()).problem(408, "BAD_REQUEST")
        dripping.cancel()


async def test_a_client_that_does_not_read_a_large_answer_is_cut_off(tmp_path: Path) -> None:
    size = 8 * 1024**2
    async with (
        large(tmp_path, size, write_seconds=SOON) as api,
        wire(api.port, receive_bytes=4096) as deaf,
    ):
        deaf.get(A_CLASS)
        await until_open(api, 1)
        await until_open(api, 0)
        assert len(await deaf.rest()) < size


async def test_a_client_that_asks_and_never_reads_is_cut_off(tmp_path: Path) -> None:
    async with (
        large(tmp_path, 50_000, write_seconds=SOON) as api,
        wire(api.port, receive_bytes=4096) as deaf,
    ):
        for _ in range(400):  # small answers, but many of them
            deaf.get(A_CLASS)
        await until_open(api, 1)
        await until_open(api, 0)


# --- too many -------------------------------------------------------------------------------------


async def test_beyond_the_limit_is_503_at_once_and_operations_are_answered(tmp_path: Path) -> None:
    async with limited(tmp_path, connections=3, reserve=2) as api:
        with silent(api.port, 3) as held:
            await until_open(api, 3)
            async with wire(api.port) as late:
                late.get(CLASSES)
                answer = await late.answer()
                answer.problem(503, "SERVICE_UNAVAILABLE")
                assert (answer.headers["retry-after"], answer.headers["connection"]) == (
                    "1",
                    "close",
                )
                assert await late.rest() == b""
            for path in OPERATIONS:
                async with wire(api.port) as probe:
                    probe.get(path)
                    assert (await probe.answer()).status == 200, path
                    assert await probe.rest() == b""  # not kept open: it is beyond the limit
            held.pop().close()
            await until_open(api, 2)
            async with wire(api.port) as again:
                again.get(CLASSES)
                assert (await again.answer()).status == 200


@pytest.mark.parametrize("body", [b"", b"x" * 100_000])
async def test_beyond_the_limit_no_body_is_read(tmp_path: Path, body: bytes) -> None:
    async with limited(tmp_path, connections=0, reserve=2) as api, wire(api.port) as late:
        late.send(
            "POST /v1/classes HTTP/1.1",
            "Host: x",
            "X-User-ID: t",
            "Content-Length: 100000",
            body=body,
        )
        (await late.answer()).problem(503, "SERVICE_UNAVAILABLE")


async def test_operations_are_answered_however_many_say_nothing(tmp_path: Path) -> None:
    async with limited(tmp_path, connections=3, reserve=4) as api:
        with silent(api.port, 60) as held:
            await until_open(api, 7)
            for path in OPERATIONS * 3:
                async with wire(api.port) as probe:
                    probe.get(path)
                    assert (await probe.answer()).status == 200, path
            held[3].settimeout(PATIENCE)  # it had to make room
            refused = held[3].recv(65536)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in refused
            assert b'"error_code":"SERVICE_UNAVAILABLE"' in refused
            assert held[3].recv(65536) == b""


async def test_the_ones_that_had_to_go_are_counted(tmp_path: Path) -> None:
    async with limited(tmp_path, connections=1, reserve=1) as api, AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(wire(api.port))
        await until_open(api, 2)
        name = "class_management_http_connections_refused_total"
        assert api.setup.metrics.registry.get_sample_value(name) == 2


async def test_operations_are_answered_while_many_requests_wait(tmp_path: Path) -> None:
    hang = Hang()
    setup = Setup(FakeBackend.all_of(Misbehaving(hang)), NEVER, limits=PATIENT)
    async with serving(setup, tmp_path) as api, AsyncExitStack() as stack:
        try:
            for _ in range(100):
                waiting = await stack.enter_async_context(wire(api.port))
                waiting.get(CLASSES)
            await until_open(api, 100)
            for path in OPERATIONS:
                async with wire(api.port) as probe:
                    probe.get(path)
                    assert (await probe.answer()).status == 200, path
        finally:
            hang.release(StoreUnavailableError())


# --- large ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("size", [65_536, 65_537, 131_072, 3 * 1024**2 + 1])
async def test_a_large_answer_arrives_whole(tmp_path: Path, size: int, version: str) -> None:
    async with large(tmp_path, size) as api, wire(api.port) as client:
        for _ in range(2):
            client.get(A_CLASS, "Connection: keep-alive", version=version)
            answer = await client.answer()
            document = LargeClasses(size).document
            assert (answer.status, answer.headers["etag"]) == (200, f'"{tag_of(document)}"')
            assert answer.body == document
        client.send(f"HEAD {A_CLASS} HTTP/1.1", "Host: x", "X-User-ID: t", "Connection: close")
        head = await client.rest()
        assert f"\r\nContent-Length: {size}\r\n".encode() in head
        assert head.endswith(b"\r\n\r\n")


async def test_answers_that_nobody_reads_do_not_pile_up(tmp_path: Path) -> None:
    mib = 1024**2
    async with large(tmp_path, 8 * mib, held_bytes=20 * mib) as api, AsyncExitStack() as stack:
        for _ in range(10):
            deaf = await stack.enter_async_context(wire(api.port, receive_bytes=4096))
            deaf.get(A_CLASS)
        await until_open(api, 2)  # those that began last: 16 MiB
        async with wire(api.port) as client:
            client.get(A_CLASS)
            assert len((await client.answer()).body) == 8 * mib


async def test_many_large_reads_of_one_user_leave_some_to_everybody_else(tmp_path: Path) -> None:
    classes = HeldClasses()
    store = replace(FakeBackend.all_of(Misbehaving(unexpected)), classes=classes)
    async with serving(Setup(store, limits=replace(PATIENT, large_reads=8)), tmp_path) as api:
        burst = [asyncio.ensure_future(api.get(A_CLASS)) for _ in range(40)]
        await until_open(api, len(burst))
        assert (await api.get(A_CLASS, user=OTHER)).status == 200
        assert (await api.internal(f"{A_CLASS}/roster")).status == 200
        classes.go_on.set()
        assert {reply.status for reply in await asyncio.gather(*burst)} == {200}
    assert classes.most == 2


class Noticed(bytes):
    """Tells when it is freed."""

    freed: ClassVar[int] = 0

    def __del__(self) -> None:
        Noticed.freed += 1


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Leave what refers to itself where it is, as between two collections."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
async def test_what_a_client_that_went_away_left_is_freed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fresh(_self: LargeClasses, _owner_id: str, _class_id: UUID) -> bytes:
        return Noticed(8 * 1024**2)

    monkeypatch.setattr(LargeClasses, "class_document", fresh)
    monkeypatch.setattr(Noticed, "freed", 0)
    async with large(tmp_path, 1000) as api:
        for _ in range(5):
            async with wire(api.port, receive_bytes=4096) as leaving:
                leaving.get(A_CLASS)
                await leaving.reader.readexactly(1)
        await until_open(api, 0)
        assert Noticed.freed == 5


async def test_bodies_that_stop_half_way_do_not_pile_up(tmp_path: Path) -> None:
    head = ("POST /v1/classes HTTP/1.1", "Host: x", "X-User-ID: t", "Content-Length: 500000")
    async with limited(tmp_path, held_bytes=1_000_000) as api, AsyncExitStack() as stack:
        for _ in range(10):
            slow = await stack.enter_async_context(wire(api.port))
            slow.send(*head, body=b" " * 400_000)
        await until_open(api, 2)
        await api.new_class()
