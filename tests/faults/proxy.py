"""A wire between a worker and a server that can be cut, held up, and broken in mid-sentence."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import Final

from devstack.ports import LOOPBACK, free_port

CHUNK_BYTES: Final = 64 * 1024
COMMIT: Final = b"COMMIT"


@dataclass
class Trouble:
    """What happens to what passes. All off: nothing.

    `refuses`: whoever connects is thrown out. `stalls`: connections stay, and nothing arrives.
    `delay`: seconds that each piece waits. `cuts_replies`: how likely a reply of the server is
    broken off in its middle. `cuts_commits`: how likely the answer to a COMMIT never arrives.
    """

    refuses: bool = False
    stalls: bool = False
    delay: float = 0.0
    cuts_replies: float = 0.0
    cuts_commits: float = 0.0


@dataclass(eq=False)
class _Link:
    """One connection, and what is about to happen to it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    swallows_reply: bool = False

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


@dataclass(eq=False)
class Proxy:
    """Listens on a port of its own and passes on to another."""

    target: int
    rng: random.Random
    port: int = field(default_factory=free_port)
    cuts: int = 0
    """How many connections it has broken off in the middle of something."""

    def __post_init__(self) -> None:
        self._trouble = Trouble()
        self._flows = asyncio.Event()
        self._flows.set()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def stop(self) -> None:
        """Cut everybody off and listen no more."""
        if self._server is not None:
            self._server.close()
        self.drop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def give(self, trouble: Trouble) -> None:
        """Let this happen from now on."""
        self._trouble = trouble
        if trouble.refuses:
            self.drop()
        (self._flows.clear if trouble.stalls else self._flows.set)()

    def heal(self) -> None:
        """Let everything pass again."""
        self.give(Trouble())

    def drop(self) -> None:
        """Break all connections that there are."""
        for link in list(self._links):
            link.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._trouble.refuses:
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        ways = (
            self._pass_on(reader, server_writer, link, from_server=False),
            self._pass_on(server_reader, writer, link, from_server=True),
        )
        pumps = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.abort()
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        link: _Link,
        *,
        from_server: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK_BYTES):
                await self._flows.wait()
                if self._trouble.delay:
                    await asyncio.sleep(self._trouble.delay)
                if self._cuts(data, link, from_server=from_server):
                    self.cuts += 1
                    link.abort()
                    return
                sink.write(data)
                await sink.drain()

    def _cuts(self, data: bytes, link: _Link, *, from_server: bool) -> bool:
        """Tell whether the connection ends here; half of a reply may have left before."""
        trouble = self._trouble
        if not from_server:
            if COMMIT in data and self.rng.random() < trouble.cuts_commits:
                link.swallows_reply = True
            return False
        if link.swallows_reply:
            return True
        if self.rng.random() >= trouble.cuts_replies:
            return False
        # Written before the connection breaks: the client sees a reply without its end.
        link.client.write(data[: len(data) // 2])
        return True
