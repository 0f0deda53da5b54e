"""A proxy between a worker and a server: it can cut, stall, slow and break connections."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final, cast

from devstack.ports import LOOPBACK, free_port

COMMIT: Final = b"COMMIT"


@dataclass(frozen=True)
class Trouble:
    """The disturbances of the traffic, by default none.

    `refuses`: connections are closed at once. `stalls`: connections stay, and nothing arrives.
    `delay`: seconds that each piece waits. `cuts_replies`: how likely a reply of the server is
    cut in its middle. `cuts_commits`: how likely the answer to a COMMIT never arrives.
    """

    refuses: bool = False
    stalls: bool = False
    delay: float = 0.0
    cuts_replies: float = 0.0
    cuts_commits: float = 0.0


class _Side(asyncio.Protocol):
    """One end of a connection: what it receives is sent at the other end.

    The loop calls it directly, without streams: every message of the service passes here,
    several for each operation, and with streams this took more time than the service.
    """

    def __init__(self, proxy: "Proxy", *, is_server: bool) -> None:
        self._proxy = proxy
        self._is_server = is_server
        self._held: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.swallows_reply = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from `Transport`.
        self.transport = cast("asyncio.Transport", transport)
        if not self._is_server:
            self._proxy.accept(self)

    def data_received(self, data: bytes) -> None:
        if self._held or self.other is None or not self._proxy.passes:
            self._hold(data)
        else:
            self._pass_on(data)

    def eof_received(self) -> None:
        """Forward the remaining data, and then the end."""
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
        """Break the connection, with the data under way."""
        for side in (self, self.other):
            if side is not None and side.transport is not None:
                side.transport.abort()

    def flow(self) -> None:
        """Forward the held data once the traffic is no longer stalled."""
        if self.transport is None or self.transport.is_closing():
            return
        held, self._held = self._held, []
        for data in held:
            self._pass_on(data)
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _hold(self, data: bytes) -> None:
        """Hold a piece and stop reading, until it may be forwarded."""
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
            # Data written earlier is still sent: the client sees a reply without its end.
            other.transport.close()
            if self.transport is not None:
                self.transport.abort()

    def _cuts(self, data: bytes, other: "_Side") -> bool:
        """Return whether the connection is cut here, perhaps after half of a reply."""
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
    """Listens on its own port and forwards to another."""

    target: int
    rng: random.Random
    port: int = field(default_factory=free_port)
    cuts: int = 0
    """How many connections it has cut in mid-traffic."""

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
        """Start to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Side(self, is_server=False), LOOPBACK, self.port
        )

    async def stop(self) -> None:
        """Break all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        self.drop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._ended.wait()

    def give(self, trouble: Trouble) -> None:
        """Disturb the traffic from now on."""
        self.trouble = trouble
        self.is_calm = trouble == Trouble()
        self.passes = not (trouble.stalls or trouble.delay)
        if trouble.refuses:
            self.drop()
        (self._flows.clear if trouble.stalls else self._flows.set)()

    def heal(self) -> None:
        """Stop all disturbances."""
        self.give(Trouble())

    def drop(self) -> None:
        """Break all connections."""
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
        """Let a side forward its held data once it may."""
        self._later(self._flow(side))

    def forget(self, side: _Side) -> None:
        """Forget a side that has ended."""
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
        # The client may have sent data before the connection to the server was open.
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
