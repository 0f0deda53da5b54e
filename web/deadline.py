"""Gives up on answers that take too long, without waiting for them to notice."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from telemetry.logs import get_logger
from web.errors import DeadlineExceededError

T = TypeVar("T")

_log: Final = get_logger(__name__)


class Deadline:
    """Runs each answer as a task of its own, for a bounded time.

    A call to a database that hangs may swallow its cancellation, so it is not waited for. And a
    client that goes away takes only its connection along: a write in progress finishes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # asyncio holds tasks weakly: without this, one could vanish half-way.
        self._left_alone: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`. Raises DeadlineExceededError."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task,), timeout=self._seconds)
        except asyncio.CancelledError:
            self._leave_alone(task)
            raise
        if not task.done():
            task.cancel()
            self._leave_alone(task)
            raise DeadlineExceededError
        if task.cancelled():  # by the store, as it closes
            raise DeadlineExceededError
        return task.result()

    def _leave_alone(self, task: asyncio.Task[Any]) -> None:
        self._left_alone.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._left_alone.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.warning("late_request_failed", exc_info=error)
