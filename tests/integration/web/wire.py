"""HTTP as bytes: what no client library would send, and clients that stop half-way."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from devstack.ports import LOOPBACK

#: A client that gives up after this fails its test.
PATIENCE: Final = 30.0


@dataclass(frozen=True)
class Answer:
    """A response as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # any JSON
        return orjson.loads(self.body)

    def problem(self, status: int, error_code: str) -> Any:  # noqa: ANN401  # likewise
        """Check that this is such a problem, whole; return it."""
        assert (self.status, self.headers["content-type"]) == (status, "application/problem+json")
        document = self.json
        assert (document["status"], document["error_code"]) == (status, error_code)
        assert document["correlation_id"] == self.headers["x-correlation-id"]
        assert self.headers["cache-control"] == "no-store"
        return document


@dataclass(frozen=True)
class Wire:
    """A connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a head, and what follows it."""
        self.writer.write("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body)

    def get(self, path: str, *headers: str, version: str = "1.1") -> None:
        self.send(f"GET {path} HTTP/{version}", "Host: x", "X-User-ID: t", *headers)

    async def answer(self, *, has_body: bool = True) -> Answer:
        """Read one response; that to a HEAD has no body, whatever its headers say."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode().strip().split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
            length = int(headers.get("content-length", 0)) if has_body else 0
            body = await self.reader.readexactly(length)
        return Answer(int(first.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Read what comes until the service closes; a reset is as good."""
        read = bytearray()
        async with asyncio.timeout(PATIENCE):
            try:
                while data := await self.reader.read(65536):
                    read += data
            except ConnectionError:
                pass
        return bytes(read)


@asynccontextmanager
async def wire(port: int, *, receive_bytes: int | None = None) -> AsyncIterator[Wire]:
    """Open a connection; `receive_bytes` is how much the system takes without being read."""
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.setblocking(False)  # noqa: FBT003  # the socket module's signature
    await asyncio.get_running_loop().sock_connect(connection, (LOOPBACK, port))
    limit = 65536 if receive_bytes is None else receive_bytes
    reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
