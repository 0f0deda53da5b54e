"""Bounds the memory of bodies that arrive slowly and of answers that are taken slowly."""

import asyncio
import socket
import struct
import traceback
from typing import Final, TypeGuard, cast

from aiohttp import web

#: What is smaller is bounded by the number of connections.
LARGE: Final = 64 * 1024
#: Larger than what a transport takes before it wants a pause, so that each piece waits for one.
PIECE: Final = 128 * 1024


#: Discard what has not been sent, instead of leaving it to the system to send for minutes.
_RESET: Final = struct.pack("ii", 1, 0)


def cut(transport: asyncio.Transport) -> None:
    """End a connection at once."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class HeldBytes:
    """Counts what is held for each connection; beyond the limit, cuts off the slowest.

    The slowest is the one that has not moved for longest: to refuse the next request instead would
    let a few clients that never read keep large answers from everybody.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        # In the order in which they last moved.
        self._held: dict[asyncio.Transport, int] = {}

    @property
    def total(self) -> int:
        """The bytes held now."""
        return self._total

    def moved(self, transport: asyncio.Transport, size: int) -> None:
        """Note that this connection has moved, and holds `size` bytes."""
        self.release(transport)
        # One that was cut off may move once more before it hears of that; counted again, it would
        # have another one cut off in its place.
        if transport.is_closing():
            return
        self._held[transport] = size
        self._total += size
        while self._total > self._limit and len(self._held) > 1:
            self._cut_slowest()

    def release(self, transport: asyncio.Transport) -> None:
        """Note that this connection holds nothing any more."""
        self._total -= self._held.pop(transport, 0)

    def _cut_slowest(self) -> None:
        slowest = next(iter(self._held))
        self._total -= self._held.pop(slowest)
        cut(slowest)


def is_large(response: web.StreamResponse) -> TypeGuard[web.Response]:
    """Whether an answer is for `send`; a small one is left to aiohttp."""
    body = response.body if isinstance(response, web.Response) else None
    return isinstance(body, bytes) and len(body) > LARGE


async def send(request: web.Request, response: web.Response, held: HeldBytes) -> web.StreamResponse:
    """Send a large answer in pieces, as its client takes them.

    aiohttp gives a transport the whole body at once, which then keeps a copy of it.
    """
    transport, body = request.transport, cast("bytes", response.body)
    if transport is None or request.method == "HEAD":
        return response
    streamed = web.StreamResponse(status=response.status, headers=response.headers)
    streamed.content_length = len(body)
    if response.keep_alive is False:
        streamed.force_close()
    try:
        await _stream(request, streamed, memoryview(body), transport, held)
    except ConnectionError as error:
        # aiohttp's frames and this error refer to each other; the garbage collector counts objects,
        # not bytes, and would let megabytes lie for long.
        traceback.clear_frames(error.__traceback__)
    finally:
        held.release(transport)
    return streamed


async def _stream(
    request: web.Request,
    streamed: web.StreamResponse,
    body: memoryview,
    transport: asyncio.Transport,
    held: HeldBytes,
) -> None:
    held.moved(transport, len(body))
    await streamed.prepare(request)
    for start in range(0, len(body), PIECE):
        await streamed.write(body[start : start + PIECE])
        held.moved(transport, len(body))
    await streamed.write_eof()
