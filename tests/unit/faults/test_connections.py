"""The attacks on connections do what they say, to a server that lets them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from devstack.ports import LOOPBACK
from faults.attacks import connections
from faults.cancellation import cancel


class Listener:
    """Accepts everything, keeps what came, and answers each piece with the same."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.came: list[bytearray] = []
        self.stuck = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came = bytearray()
        self.came.append(came)
        try:
            while data := await reader.read(1024):
                came += data
                writer.write(self.answer)
                self.stuck += 1
                await writer.drain()
                self.stuck -= 1
        except OSError:
            pass
        finally:
            writer.close()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_idle_sockets_are_open_and_silent() -> None:
    listener = Listener()
    async with listener.listening() as port:
        attack = asyncio.create_task(connections.idle_sockets(LOOPBACK, port, 150, 5))
        await eventually(lambda: len(listener.came) == 150)
        assert set(map(bytes, listener.came)) == {b""}
        await cancel([attack])


async def test_who_does_not_read_keeps_the_answer_with_the_server() -> None:
    listener = Listener(b"x" * 8_000_000)
    async with listener.listening() as port:
        attack = asyncio.create_task(connections.unread_answers(LOOPBACK, port, 2, 5, "/", "t"))
        await eventually(lambda: listener.stuck == 2)
        await asyncio.sleep(0.2)
        assert listener.stuck == 2
        await cancel([attack])


async def test_a_status_is_told_from_none() -> None:
    async with Listener(b"HTTP/1.1 503 Busy\r\n\r\n").listening() as port:
        assert await connections.probe(LOOPBACK, port, "/livez", 5) == 503
    assert await connections.probe(LOOPBACK, port, "/livez", 5) is None
    async with Listener().listening() as port:
        assert await connections.probe(LOOPBACK, port, "/livez", 0.1) is None
