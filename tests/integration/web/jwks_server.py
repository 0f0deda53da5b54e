"""A server of a gateway's keys."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from devstack.ports import LOOPBACK


@dataclass
class JwksAnswers:
    """What the server answers now, and how often it was asked."""

    document: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    #: Where it is cleared, the server does not answer.
    is_answering: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.is_answering.set()

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await self.is_answering.wait()
        return web.Response(body=self.document, status=self.status, headers=self.headers)


@asynccontextmanager
async def answering(
    answers: JwksAnswers, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Have a server on a free port; give the address of its keys."""
    app = web.Application()
    app.router.add_get("/keys", answers.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0, ssl_context=context).start()
    try:
        scheme = "https" if context else "http"
        yield f"{scheme}://localhost:{runner.addresses[0][1]}/keys"
    finally:
        answers.is_answering.set()
        await runner.cleanup()
