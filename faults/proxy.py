"""A wire between a worker and a server that can be cut, held up, and broken in mid-sentence."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final, cast

from devstack.ports import LOOPBACK, free_port

COMMIT: Final = b"COMMIT"


@dataclass(frozen=True)
class Trouble:
    """What happens to what passes. All off: nothing.

    `refuses`: connections are closed at once. `stalls`: connections stay, and nothing arrives.
    `delay`: seconds that each piece waits. `cuts_replies`: how likely a reply of the server is
    broken off in its middle. `cuts_commits`: how likely the answer to a COMMIT never arrives.
    """

    refuses: bool = False
    stalls: bool = False
    delay: float = 0.0
    cuts_replies: float = 0.0
    cuts_commits: float = 0.0


class _Side(asyncio.Protocol):
    """One end of a wire: what comes from here goes out at the other end.

    Called straight from the loop, without a stream between: each message of the service passes
    here, several for each operation, and with streams this took more time than the service.
    """

    def __init__(self, proxy: "Proxy", *, is_server: bool) -> None:
        self._proxy = proxy
        self._is_server = is_server
        self._held: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.swallows_reply = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The faster loop's transports are none by inheritance.
        self.transport = cast("asyncio.Transport", transport)
        if not self._is_server:
            self._proxy.accept(self)

    def data_received(self, data: bytes) -> None:
        if self._held or self.other is None or not self._proxy.passes:
            self._hold(data)
        else:
            self._pass_on(data)

    def eof_received(self) -> None:
        """Let the other side have what there is, and then its end."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._proxy.forget(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other._held:
            self.other.transport.resume_reading()

    def abort(self) -> None:
        """Break the connection, whatever is on its way."""
        for side in (self, self.other):
            if side is not None and side.transport is not None:
                side.transport.abort()

    def flow(self) -> None:
        """Pass on what was held up, once it flows again."""
        if self.transport is None or self.transport.is_closing():
            return
        held, self._held = self._held, []
        for data in held:
            self._pass_on(data)
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _hold(self, data: bytes) -> None:
        """Keep a piece, and take no more, until it may go on."""
        assert self.transport is not None
        self._held.append(data)
        self.transport.pause_reading()
        if len(self._held) == 1 and self.other is not None:
            self._proxy.let_flow(self)

    def _pass_on(self, data: bytes) -> None:
        other = self.other
        if other is None or other.transport is None or other.transport.is_closing():
            return
        if self._proxy.is_calm or not self._cuts(data, other):
            other.transport.write(data)
        else:
            self._proxy.cuts += 1
            # What was written before still leaves: the client sees a reply without its end.
            other.transport.close()
            if self.transport is not None:
                self.transport.abort()

    def _cuts(self, data: bytes, other: "_Side") -> bool:
        """Return whether the connection ends here; half of a reply may have left before."""
        trouble, rng = self._proxy.trouble, self._proxy.rng
        if not self._is_server:
            if COMMIT in data and rng.random() < trouble.cuts_commits:
                other.swallows_reply = True
            return False
        if self.swallows_reply:
            return True
        if rng.random() >= trouble.cuts_replies:
            return False
        assert other.transport is not None
        other.transport.write(data[: len(data) // 2])
        return True


@dataclass(eq=False)
class Proxy:
    """Listens on a port of its own and passes on to another."""

    target: int
    rng: random.Random
    port: int = field(default_factory=free_port)
    cuts: int = 0
    """How many connections it has broken off in the middle of something."""

    def __post_init__(self) -> None:
        self.trouble = Trouble()
        self.is_calm = self.passes = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._sides: set[_Side] = set()
        self._ended = asyncio.Event()
        self._ended.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Side(self, is_server=False), LOOPBACK, self.port
        )

    async def stop(self) -> None:
        """Cut everybody off and listen no more."""
        if self._server is not None:
            self._server.close()
        self.drop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._ended.wait()

    def give(self, trouble: Trouble) -> None:
        """Let this happen from now on."""
        self.trouble = trouble
        self.is_calm = trouble == Trouble()
        self.passes = not (trouble.stalls or trouble.delay)
        if trouble.refuses:
            self.drop()
        (self._flows.clear if trouble.stalls else self._flows.set)()

    def heal(self) -> None:
        """Let everything pass again."""
        self.give(Trouble())

    def drop(self) -> None:
        """Break all connections that there are."""
        for side in list(self._sides):
            side.abort()

    def accept(self, client: _Side) -> None:
        """Accept a connection, or close it at once."""
        self._sides.add(client)
        self._ended.clear()
        if self.trouble.refuses:
            client.abort()
        else:
            self._later(self._connect(client))

    def let_flow(self, side: _Side) -> None:
        """Have what a side holds pass once it may."""
        self._later(self._flow(side))

    def forget(self, side: _Side) -> None:
        """Know no more of a side that has ended."""
        self._sides.discard(side)
        if not self._sides:
            self._ended.set()

    async def _connect(self, client: _Side) -> None:
        loop = asyncio.get_running_loop()
        server = _Side(self, is_server=True)
        server.other = client
        try:
            await loop.create_connection(lambda: server, LOOPBACK, self.target)
        except OSError:
            client.abort()
            return
        assert client.transport is not None
        if client.transport.is_closing():
            server.abort()
            return
        client.other = server
        self._sides.add(server)
        # The client may have spoken before there was anybody to speak to.
        self.let_flow(client)

    async def _flow(self, side: _Side) -> None:
        if self.trouble.delay:
            await asyncio.sleep(self.trouble.delay)
        await self._flows.wait()
        side.flow()

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
