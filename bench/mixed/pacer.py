"""Starts tasks at an even rate, whether or not earlier ones have ended."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from bench.http_load import LoadError

#: With more under way, the service has been too slow for longer than a moment.
MOST_UNDER_WAY: Final = 2000


class Pacer:
    """Starts tasks in a group, which fails if one of them does."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task. Raises LoadError if too many are under way."""
        if len(self._under_way) >= MOST_UNDER_WAY:
            work.close()
            raise LoadError(f"{MOST_UNDER_WAY} requests wait: nobody keeps up with them")
        task = self._group.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def pace(
        self, per_second: float, seconds: float, act: Callable[[int], Coroutine[Any, Any, None]]
    ) -> None:
        """Start an act, with its number, `per_second` times a second."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(began + number / per_second - loop.time(), 0))
            self.start(act(number))

    async def done(self) -> None:
        """Wait until every task has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way)
