"""A connection of HTTP that cannot be held open for ever."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_server import Server

from rules.errors import ServiceError
from web.errors import BadRequestError, TooManyConnectionsError
from web.held import cut
from web.limits import ConnectionLimits
from web.refusals import as_bytes, refusal, refused

_FAULTS_OF_CLIENTS: Final = (RequestPayloadError, HttpProcessingError, ConnectionError)
_HEAD_TOO_SLOW: Final = BadRequestError(408, "The request did not arrive in time.")


class Connection(RequestHandler):
    """aiohttp's handler with time limits, and problem documents for what it refuses.

    aiohttp closes a connection that is idle between two requests. It waits without end for a head
    that has begun, for a client that takes nothing of its answer, and for a closed connection to
    send what is left. `check` is called about once a second, which costs less than a timer for
    each of these.
    """

    __slots__ = (
        "_closing_since",
        "_has_begun",
        "_head_since",
        "_limits",
        "_stalled_since",
        "_told",
        "_when_lost",
        "is_extra",
    )

    def __init__(
        self,
        manager: Server,
        limits: ConnectionLimits,
        told: Callable[[web.StreamResponse], None],
        **options: Any,  # noqa: ANN401  # aiohttp's
    ) -> None:
        """`told` gets each answer that no view and no middleware knows of."""
        super().__init__(manager, keepalive_timeout=limits.idle_seconds, **options)
        self.is_extra = False
        self._limits = limits
        self._told = told
        #: When a head began to be waited for; None while a request is answered or none has begun.
        self._head_since: float | None = None
        self._has_begun = False
        self._stalled_since = 0.0
        self._closing_since: float | None = None
        self._when_lost: Callable[[], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._messages) or self._request_in_progress

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        self._head_since = self._loop.time()
        super().connection_made(transport)

    def when_lost(self, call: Callable[[], None]) -> None:
        """Have something called once the client is gone: an answer without end would not notice."""
        self._when_lost = call

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever wants to know."""
        super().connection_lost(exc)
        if self._when_lost is not None:
            self._when_lost()

    def data_received(self, data: bytes) -> None:
        """Note whether a head has begun, or is whole."""
        super().data_received(data)
        self._end_broken_body()
        if self._messages:
            self._head_since, self._has_begun = None, False
        elif data and self._waiter is not None and not self._waiter.done():
            self._has_begun = True
            if self._head_since is None:
                self._head_since = self._loop.time()

    def pause_writing(self) -> None:
        """Note since when the client has taken nothing."""
        super().pause_writing()
        self._stalled_since = self._loop.time()

    def check(self, transport: asyncio.Transport, now: float) -> None:
        """Close the connection if it has taken too long."""
        patience = self._limits.write_seconds
        if transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > patience:
                cut(transport)
        elif self.writing_paused:
            if now - self._stalled_since > patience:
                cut(transport)
        elif self._head_since is not None and now - self._head_since > self._limits.head_seconds:
            self._end(_HEAD_TOO_SLOW if self._has_begun else None)

    def refuse(self) -> None:
        """Say that there are too many connections, and close this one."""
        self._end(None if self._request_count else TooManyConnectionsError())

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # it quotes what was sent
    ) -> web.StreamResponse:
        """Return the problem document for what aiohttp refuses; log our own failures alone."""
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("The answer has begun, or nobody waits for it.")
        error = refusal(status, exc, self.max_line_size)
        if type(error) is ServiceError:
            self.log_exception("Error handling request", exc_info=exc)
        response = refused(error)
        self._told(response)
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # aiohttp's
        """Log our own failures; a body that breaks off while nobody reads it is none."""
        if not isinstance(options.get("exc_info"), _FAULTS_OF_CLIENTS):
            super().log_exception(*args, **options)

    def _end_broken_body(self) -> None:
        """Tell who reads a body that no more of it can be understood; aiohttp lets them wait."""
        request = self._current_request
        if not self._messages or request is None or request.content.is_eof():
            return
        if not isinstance(self._messages[-1][0], RawRequestMessage):
            request.content.set_exception(RequestPayloadError("no HTTP"))

    def _end(self, error: ServiceError | None) -> None:
        if error is not None and self.transport is not None:
            response = refused(error)
            self.transport.write(as_bytes(response))
            self._told(response)
        self.force_close()
