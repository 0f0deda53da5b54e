"""Connections that are only there to be held open.

Each attack holds `count` connections for up to `seconds`, and returns how many of these the service
ended by itself. It needs as many open files.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

#: Between two bytes of who sends byte by byte.
DRIP_SECONDS: Final = 1.0
#: How much the system takes for who never reads.
RECEIVE_BYTES: Final = 4096
#: Whoever never reads has to ask the system whether it is still connected.
LOOK_SECONDS: Final = 0.2
ESTABLISHED: Final = 1
#: Connections that are opened at once.
AT_ONCE: Final = 50

Attack = Callable[[str, int, int, float], Awaitable[int]]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def idle_sockets(host: str, port: int, count: int, seconds: float) -> int:
    """Say nothing at all."""
    return await _attack(host, port, count, seconds, _listen)


async def slow_heads(host: str, port: int, count: int, seconds: float) -> int:
    """Send a head byte by byte, that never ends."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /v1/classes HTTP/1.1\r\nHost: x\r\nX-User-ID: t\r\nX: ")
        await _drip(reader, writer)

    return await _attack(host, port, count, seconds, drip)


async def slow_bodies(host: str, port: int, count: int, seconds: float, begun: int = 0) -> int:
    """Send `begun` bytes of a body at once, and the rest byte by byte."""
    head = (
        b"POST /v1/classes HTTP/1.1\r\nHost: x\r\nX-User-ID: t\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + b" " * begun)
        await writer.drain()
        await _drip(reader, writer)

    return await _attack(host, port, count, seconds, drip)


async def unread_answers(
    host: str, port: int, count: int, seconds: float, path: str, user: str
) -> int:
    """Ask for `path` as a user, and never read the answer."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-User-ID: {user}\r\n\r\n".encode()

    async def ask(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        connection = writer.get_extra_info("socket")
        while _state(connection) == ESTABLISHED:  # noqa: ASYNC110  # the system does not tell
            await asyncio.sleep(LOOK_SECONDS)

    return await _attack(host, port, count, seconds, ask)


async def probe(host: str, port: int, path: str, seconds: float = 3.0) -> int | None:
    """Return the status of an answer on a new connection; None if none comes in time."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-User-ID: t\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return None
    return int(line.split()[1]) if line else None


async def _attack(host: str, port: int, count: int, seconds: float, behave: Behaviour) -> int:
    opening = asyncio.Semaphore(AT_ONCE)
    tasks = [asyncio.create_task(_one(host, port, opening, behave)) for _ in range(count)]
    try:
        ended, _ = await asyncio.wait(tasks, timeout=seconds)
        return len(ended)
    finally:
        await _cancelled(tasks)


async def _one(host: str, port: int, opening: asyncio.Semaphore, behave: Behaviour) -> None:
    """Behave on one connection until the service ends it."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with opening:
            reader, writer = await _opened(host, port)
        await behave(reader, writer)
    except OSError:
        return
    finally:
        if writer is not None:
            writer.transport.abort()


async def _opened(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    connection.setblocking(False)  # noqa: FBT003  # the socket module's signature
    try:
        await asyncio.get_running_loop().sock_connect(connection, (host, port))
        # Beyond twice this limit a reader leaves what comes to the system.
        return await asyncio.open_connection(sock=connection, limit=RECEIVE_BYTES)
    except BaseException:
        connection.close()
        raise


def _state(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


async def _listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(RECEIVE_BYTES):
        pass


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    listening = asyncio.create_task(_listen(reader, writer))
    try:
        while not listening.done():
            writer.write(b"x")
            await asyncio.wait((listening,), timeout=DRIP_SECONDS)
    finally:
        listening.cancel()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
