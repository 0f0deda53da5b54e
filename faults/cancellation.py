"""The end of tasks."""

import asyncio
from collections.abc import Iterable
from typing import Final

AGAIN_SECONDS: Final = 1.0


async def cancel(tasks: Iterable[asyncio.Task[None]] | Iterable[asyncio.Task[float]]) -> None:
    """Cancel tasks until they have ended; what they raise is dropped.

    Once is not enough: a request mistakes a cancellation that coincides with its own timeout for
    the timeout, and its sender goes on.
    """
    left = {*tasks}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()
