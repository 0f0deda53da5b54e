"""How tasks are ended that may swallow a cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

CANCEL_AGAIN_SECONDS: Final = 0.2


async def end(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel tasks, repeatedly: a driver may turn a cancellation into an error, or miss it."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
