"""Waiting for something to become true: generous in time, clear where it does not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

#: Longer than anything takes that works, also on a busy machine with a slow broker.
PATIENCE_SECONDS: Final = 75.0
POLL_SECONDS: Final = 0.05


async def until(
    what: str, look: Callable[[], Awaitable[T]], instead: Callable[[], object] | None = None
) -> T:
    """Look until there is something true to see; return it.

    Raises AssertionError with `what` was waited for, and what there is `instead`, by default
    what was seen last.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    while not (seen := await look()):
        if clock() > deadline:
            there = seen if instead is None else instead()
            raise AssertionError(f"waited {PATIENCE_SECONDS:g} s for {what}; there is: {there!r}")
        await asyncio.sleep(POLL_SECONDS)
    return seen
