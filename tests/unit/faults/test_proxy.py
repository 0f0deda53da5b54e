"""The wire passes everything on, until it is told not to."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from devstack.ports import LOOPBACK
from faults.proxy import Proxy, Trouble

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE: Final = 30.0


@asynccontextmanager
async def proxied() -> AsyncIterator[Proxy]:
    """Run a server that says everything twice, behind a proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data + data)
        writer.close()

    async with await asyncio.start_server(serve, LOOPBACK) as server:
        proxy = Proxy(server.sockets[0].getsockname()[1], random.Random(1))
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.stop()


async def ask(proxy: Proxy, what: bytes, seconds: float = PATIENCE) -> bytes:
    """Send something on a new connection; return what comes until it ends or is all there."""
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    try:
        writer.write(what)
        return await asyncio.wait_for(reader.readexactly(2 * len(what)), seconds)
    except asyncio.IncompleteReadError as error:
        return error.partial
    finally:
        writer.close()


async def test_everything_is_passed_on() -> None:
    async with proxied() as proxy:
        assert await ask(proxy, b"hello") == b"hellohello"


async def test_whoever_connects_is_thrown_out() -> None:
    async with proxied() as proxy:
        proxy.give(Trouble(refuses=True))
        with pytest.raises((ConnectionError, AssertionError)):
            assert await ask(proxy, b"hello")
        proxy.heal()
        assert await ask(proxy, b"hello") == b"hellohello"


async def test_nothing_arrives_until_it_flows_again() -> None:
    async with proxied() as proxy:
        proxy.give(Trouble(stalls=True))
        with pytest.raises(TimeoutError):
            await ask(proxy, b"hello", 0.5)
        proxy.heal()
        assert await ask(proxy, b"hello") == b"hellohello"


async def test_a_reply_is_broken_off_in_its_middle() -> None:
    async with proxied() as proxy:
        proxy.give(Trouble(cuts_replies=1))
        try:
            told = await ask(proxy, b"hello")
        except ConnectionError:
            told = b""
        assert told in {b"", b"hello"}
        assert proxy.cuts == 1


async def test_a_commit_is_never_answered_and_arrives() -> None:
    async with proxied() as proxy:
        proxy.give(Trouble(cuts_commits=1))
        assert await ask(proxy, b"SELECT") == b"SELECTSELECT"
        with pytest.raises((ConnectionError, AssertionError)):
            assert await ask(proxy, b"COMMIT;")
        assert proxy.cuts == 1
