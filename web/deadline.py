"""Abandons answers that take too long."""

import asyncio
from collections.abc import Awaitable
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

    async def run(self, work: Awaitable[T], seconds: float | None = None) -> T:
        """Return the result of `work`, which may have a limit of its own.

        Raises DeadlineExceededError.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task,), timeout=seconds or self._seconds)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
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
