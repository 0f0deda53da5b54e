"""Keeps a number of connections busy with requests, and times each answer.

An HTTP client on bare sockets: aiohttp's would need as much CPU as the server that it
measures, and the two share a machine.
"""

import asyncio
import contextlib
import itertools
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import uvloop

from devstack.ports import LOOPBACK

#: Replaced in each request by 12 hexadecimal digits that no other request has.
UNIQUE: Final = b"{--unique--}"
#: Replaced by the ETag of the last answer on the connection, at first by `*`, which all fit. Where
#: requests have it, each connection sends one of them again and again.
TAG: Final = b"{--tag--}"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 15.0
SHOWN_BYTES: Final = 300

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAG: Final = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)
_ANY: Final = b"*"
_NOT_MODIFIED: Final = b" 304 "


class LoadError(Exception):
    """A request was not answered as expected."""


@dataclass(frozen=True)
class HttpLoad:
    """The requests to send, and for how long."""

    port: int
    requests: Sequence[bytes]
    """Complete requests, sent in turn; `UNIQUE` in them is replaced."""
    status: int
    """The status that every answer must have."""
    seconds: float
    warm_seconds: float
    """How long to send before the measurement starts."""
    connections: int = 10
    pause_seconds: float = 0.0
    """The pause of each connection after an answer."""


@dataclass(frozen=True)
class HttpResult:
    """The answers during the measurement."""

    answers: int
    """All answers, including those before the measurement."""
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def get(path: str, user_id: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-User-ID: {user_id}\r\n\r\n".encode()


def post(path: str, user_id: str, body: bytes, *, has_key: bool = False) -> bytes:
    """Return a POST request with a JSON body, and if it is to have one a key of its own."""
    key = f"Idempotency-Key: {UNIQUE.decode()}\r\n" if has_key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-User-ID: {user_id}\r\n{key}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def put(path: str, user_id: str, body: bytes) -> bytes:
    """Return a PUT request with a JSON body."""
    return post(path, user_id, body).replace(b"POST", b"PUT", 1)


def with_header(request: bytes, name: str, value: bytes) -> bytes:
    """Return a request with one header more."""
    first, rest = request.split(b"\r\n", 1)
    return b"%s\r\n%s: %s\r\n%s" % (first, name.encode(), value, rest)


def load(given: HttpLoad) -> HttpResult:
    """Send; return the measurements. Raises LoadError on the first wrong answer."""
    return uvloop.run(_load(given))


async def _load(given: HttpLoad) -> HttpResult:
    async with asyncio.timeout(given.warm_seconds + given.seconds + ANSWER_SECONDS):
        async with loading(given) as run:
            await run.ended
        return run.result()


@contextlib.asynccontextmanager
async def loading(given: HttpLoad) -> AsyncIterator["Run"]:
    """Send during the context, at most for the given time; it has the result afterwards."""
    loop = asyncio.get_running_loop()
    run = Run(given)
    async with asyncio.timeout(CONNECT_SECONDS):
        clients = [
            (await loop.create_connection(partial(_Client, run, n), LOOPBACK, given.port))[1]
            for n in range(given.connections)
        ]
    run.ended = asyncio.gather(*(client.ended for client in clients))
    try:
        yield run
    finally:
        run.end()
        async with asyncio.timeout(ANSWER_SECONDS):
            await run.ended


class Run:
    """The state that all connections share."""

    ended: "asyncio.Future[list[None]]"

    def __init__(self, given: HttpLoad) -> None:
        """Measure from now on, for the given time."""
        self.pause_seconds = given.pause_seconds
        self._status = b" %d " % given.status
        self._requests = given.requests
        self._all = itertools.cycle(given.requests)
        self._number = itertools.count(secrets.randbits(24) << 24)
        self._measured_from = time.perf_counter() + given.warm_seconds
        self._until = self._measured_from + given.seconds
        self._latencies: list[float] = []
        self._answers = 0

    def requests(self, connection: int) -> Iterator[bytes]:
        """Return what a connection sends: its share of all, or its own request over and over."""
        own = self._requests[connection % len(self._requests)]
        return itertools.repeat(own) if TAG in own else self._all

    def unique(self) -> bytes:
        """Return what no other request has."""
        return b"%012x" % next(self._number)

    def take(self, answer: bytes, sent: float) -> bool:
        """Count a complete answer; return whether to go on. Raises LoadError."""
        if self._status not in answer[8:14]:
            raise LoadError(answer[:SHOWN_BYTES].decode(errors="replace"))
        self._answers += 1
        now = time.perf_counter()
        if not self._latencies:
            # On a busy machine even the first answer may arrive after the end: it counts.
            self._until = max(self._until, now)
        if self._measured_from <= now <= self._until:
            self._latencies.append(now - sent)
        return now < self._until

    def end(self) -> None:
        """End the measurement now."""
        self._until = min(self._until, time.perf_counter())

    def result(self) -> HttpResult:
        """Return the figures. Raises LoadError if nothing was measured."""
        if not self._latencies:
            raise LoadError("no request was answered in time")
        times = sorted(self._latencies)
        return HttpResult(
            answers=self._answers,
            requests_per_s=len(times) / (self._until - self._measured_from),
            p50_ms=quantile(times, 0.5) * 1000,
            p95_ms=quantile(times, 0.95) * 1000,
            p99_ms=quantile(times, 0.99) * 1000,
        )


class _Client(asyncio.Protocol):
    """A connection: one request at a time."""

    def __init__(self, run: Run, number: int) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run = run
        self._requests = run.requests(number)
        self._tag = _ANY
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = _size(self._buffer)
        if size is None or len(self._buffer) < size:
            return
        answer, self._buffer = self._buffer, b""
        try:
            goes_on = self._run.take(answer, self._sent)
        except LoadError as error:
            self._end(error)
            return
        if tag := _TAG.search(answer):
            self._tag = tag[1]
        if goes_on and self._run.pause_seconds:
            asyncio.get_running_loop().call_later(self._run.pause_seconds, self._send)
        elif goes_on:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or LoadError("the server closed a connection"))

    def _send(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            request = next(self._requests).replace(UNIQUE, self._run.unique())
            self._sent = time.perf_counter()
            self._transport.write(request.replace(TAG, self._tag))

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
        if self._transport is not None:
            self._transport.close()


def _size(buffer: bytes) -> int | None:
    """Return the length of the answer with its head; None if not known yet."""
    end_of_head = buffer.find(b"\r\n\r\n")
    if end_of_head < 0:
        return None
    # That of a 304 is what it would have with its content.
    length = None if _NOT_MODIFIED in buffer[8:14] else _LENGTH.search(buffer, 0, end_of_head + 2)
    return end_of_head + 4 + (int(length[1]) if length else 0)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that `share` of them do not exceed."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
