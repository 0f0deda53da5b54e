"""aiohttp's server with limits, in the place of the one that Faust makes."""

import asyncio
from typing import Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_runner import AppRunner
from aiohttp.web_server import Server
from faust.web.base import Web
from faust.web.drivers.aiohttp import Web as AiohttpWeb

from telemetry.metrics import Metrics
from web.admission import Admission
from web.connections import Connection
from web.limits import ConnectionLimits
from web.refusals import RefusalReport, refusal, refused

#: How often connections are looked at. A look at 2,000 takes a millisecond.
CHECK_SECONDS: Final = 1.0


def use_limits(faust_web: Web, limits: ConnectionLimits, metrics: Metrics) -> None:
    """Have Faust's web server keep to limits; call this before it starts."""
    driver = cast("AiohttpWeb", faust_web)
    driver._runner = LimitedRunner(driver.web_app, limits, metrics)  # noqa: SLF001  # Faust gives no other way


class LimitedRunner(AppRunner):
    """Runs an application on a LimitedServer."""

    def __init__(self, app: web.Application, limits: ConnectionLimits, metrics: Metrics) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=limits.stop_seconds)
        self._limits = limits
        self._metrics = metrics

    async def _make_server(self) -> Server:
        return LimitedServer(await super()._make_server(), self._limits, self._metrics)


class LimitedServer(Server):
    """Makes connections that keep to limits, and looks after them."""

    def __init__(self, made: Server, limits: ConnectionLimits, metrics: Metrics) -> None:
        """`made` is the server that aiohttp made for the application."""
        super().__init__(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001  # a copy of it
        )
        self._limits = limits
        self._report = RefusalReport(metrics)
        self._handle = made.request_handler
        self.request_handler = self._answer
        self._admission = Admission(limits, metrics.connections_refused.inc)
        metrics.connections.set_function(lambda: self._admission.count)
        shortest = min(limits.head_seconds, limits.write_seconds)
        self._interval = min(CHECK_SECONDS, shortest / 4)
        self._next_check = self._loop.call_later(self._interval, self._check_all)

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, self._limits, self._report.add, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Let a connection in, or refuse one."""
        super().connection_made(handler, transport)
        self._admission.enter(cast("Connection", handler))

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._admission.leave(cast("Connection", handler))

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # aiohttp's
        """Close all connections."""
        self._next_check.cancel()
        await super().shutdown(timeout)

    def _check_all(self) -> None:
        self._next_check = self._loop.call_later(self._interval, self._check_all)
        now = self._loop.time()
        for connection, transport in list(self._connections.items()):
            cast("Connection", connection).check(transport, now)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._handle(request)
        except web.HTTPException as error:  # before the middleware: an Expect that is not met
            response = refused(refusal(error.status, None, 0))
            self._report.add(response)
            return response
