"""What becomes of the processes that plan."""

import asyncio
import os
from collections.abc import Callable


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  # a process tells nobody that it is gone
            await asyncio.sleep(0.005)


def is_there(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
