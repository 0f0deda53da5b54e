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
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

import uvloop

from devstack.ports import LOOPBACK

#: Replaced in each request by 12 hexadecimal digits that no other request has.
UNIQUE: Final = b"{--unique--}"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 15.0
SHOWN_BYTES: Final = 300

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


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


def post(path: str, user_id: str, body: bytes) -> bytes:
    """Return a POST request with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-User-ID: {user_id}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


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
            (await loop.create_connection(lambda: _Client(run), LOOPBACK, given.port))[1]
            for _ in range(given.connections)
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
        self._requests = itertools.cycle(given.requests)
        self._number = itertools.count(secrets.randbits(24) << 24)
        self._measured_from = time.perf_counter() + given.warm_seconds
        self._until = self._measured_from + given.seconds
        self._latencies: list[float] = []
        self._answers = 0

    def next_request(self) -> bytes:
        """Return the next request."""
        return next(self._requests).replace(UNIQUE, b"%012x" % next(self._number))

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

    def __init__(self, run: Run) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run = run
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
            self._sent = time.perf_counter()
            self._transport.write(self._run.next_request())

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
    length = _LENGTH.search(buffer, 0, end_of_head + 2)
    return end_of_head + 4 + (int(length[1]) if length else 0)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that `share` of them do not exceed."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
