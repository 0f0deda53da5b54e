"""Servers that go away and come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from devstack.process import Server

#: A way for a server to be away, for as long as a context lasts.
Fault: TypeAlias = Callable[[Server], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[None]:
    """Stop the server in good order, and start it on the same port with what it keeps on disk."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def killed(server: Server) -> AsyncIterator[None]:
    """End the server as a crash would, and start it likewise."""
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def frozen(server: Server) -> AsyncIterator[None]:
    """Let the server hang: its connections stay, and nothing answers."""
    server.pause()
    try:
        yield
    finally:
        server.resume()
