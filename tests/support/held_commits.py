"""A proxy in front of PostgreSQL that keeps back the answer to one transaction's COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from devstack.ports import LOOPBACK, free_port

COMMIT: Final = b"COMMIT"
CHUNK: Final = 65_536


@dataclass
class HeldCommits:
    """Passes everything on but the answer to the COMMIT after a statement that has the mark."""

    target: int
    port: int = field(default_factory=free_port)
    mark: bytes | None = None
    """Whose COMMIT is answered to nobody; None: all are answered."""
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once PostgreSQL has committed what had the mark."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def hold(self, mark: str) -> None:
        """Keep back the next answer of that kind."""
        self.mark = mark.encode()
        self.committed.clear()

    def cut(self) -> None:
        """Break all connections, and keep nothing back any more."""
        self.mark = None
        for writer in self._writers:
            writer.transport.abort()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        there, back = await asyncio.open_connection(LOOPBACK, self.target)
        both = {writer, back}
        self._writers |= both
        holds = asyncio.Event()
        try:
            await asyncio.gather(self._there(reader, back, holds), self._back(there, writer, holds))
        except ConnectionError:
            pass
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _there(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holds: asyncio.Event
    ) -> None:
        marked = False
        while data := await reader.read(CHUNK):
            marked = marked or (self.mark is not None and self.mark in data)
            if marked and COMMIT in data:
                holds.set()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holds: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if holds.is_set():
                self.committed.set()
                continue
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def holding(target: int) -> AsyncIterator[HeldCommits]:
    """Listen in front of a PostgreSQL."""
    proxy = HeldCommits(target)
    server = await asyncio.start_server(proxy.connect, LOOPBACK, proxy.port)
    try:
        yield proxy
    finally:
        proxy.cut()
        server.close()
