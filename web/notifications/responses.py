"""The answer that goes on: a stream of server-sent events."""

import contextlib
import random
from typing import Final

from aiohttp import web
from aiohttp.hdrs import METH_HEAD

from web.connections import Connection
from web.limits import ConnectionLimits
from web.notifications.events import opening
from web.notifications.streams import Stream, Streams

#: A browser comes again after so many milliseconds: not all at once after a process has stopped.
_RETRY_MS: Final = (1_000, 3_000)

_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    # nginx would keep events until it has a few thousand bytes.
    "X-Accel-Buffering": "no",
}


class EventStream(web.StreamResponse):
    """A user's events, until the client goes or the process stops.

    Its handler only makes it, so that no deadline and no count of requests holds for it. The
    middleware opens it, whose refusal is an answer like others, and runs it in the place where it
    sends answers.
    """

    def __init__(self, streams: Streams, user_id: str) -> None:
        super().__init__(headers=_HEADERS)
        self._streams = streams
        self._user_id = user_id
        self._stream: Stream | None = None

    def open(self, request: web.Request, limits: ConnectionLimits) -> None:
        """Take a place among the open streams; whoever asks for the head alone needs none.

        Raises TooManyStreamsError or TooManyRequestsError.
        """
        if request.method != METH_HEAD:
            self._stream = self._streams.open(self._user_id, limits)

    async def run(self, request: web.Request) -> None:
        """Write events for as long as the client is there, and give the place back."""
        stream = self._stream
        if stream is None:
            return
        connection = request.protocol
        try:
            if isinstance(connection, Connection):
                connection.when_lost(stream.end)
            # The client went away: nothing is left to say, and nobody to say it to.
            with contextlib.suppress(ConnectionError):
                await self._write_all(request, stream)
        finally:
            self._streams.close(stream)

    async def _write_all(self, request: web.Request, stream: Stream) -> None:
        await self.prepare(request)
        await self.write(opening(random.randint(*_RETRY_MS)))  # noqa: S311  # no secret
        if "Last-Event-ID" in request.headers:
            stream.resync()
        while (events := await stream.next()) is not None:
            await self.write(events)
        await self.write_eof()
