"""Abandons answers that take too long."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from telemetry.limits import LineLimit
from telemetry.logs import get_logger
from web.errors import DeadlineExceededError
from web.unavailable import LINE_SECONDS

T = TypeVar("T")

_log: Final = get_logger(__name__)


class Deadline:
    """Runs each answer in its own task for a limited time.

    A call to a database that hangs may swallow its cancellation, so no one waits for it. And if the
    client disconnects, a write in progress still finishes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # asyncio holds tasks weakly: without this, one could vanish half-way.
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._lines = LineLimit(1, LINE_SECONDS)

    async def run(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """Return the result of `work`, which may have a limit of its own.

        Raises DeadlineExceededError.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        ended = loop.create_future()

        def end(_: object = None) -> None:
            if not ended.done():
                ended.set_result(None)

        # What asyncio.wait does, in half the time: each request comes here.
        task.add_done_callback(end)
        timer = loop.call_later(seconds or self._seconds, end)
        try:
            await ended
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        finally:
            timer.cancel()
        if not task.done():
            task.cancel()
            self._abandon(task)
            raise DeadlineExceededError
        if task.cancelled():  # by the store, as it closes
            raise DeadlineExceededError
        return task.result()

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        left_out = self._lines.passes(type(error).__qualname__)
        if left_out is not None:
            _log.warning("late_request_failed", left_out=left_out, exc_info=error)
