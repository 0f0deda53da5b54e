"""Waiting for something to become true: generous in time, clear where it does not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

#: Longer than anything takes that works, also on a busy machine with a slow broker.
PATIENCE_SECONDS: Final = 75.0
POLL_SECONDS: Final = 0.05


class WaitError(AssertionError, TimeoutError):
    """What was waited for did not come: fails a test, and is a timeout for a program."""


async def until(
    what: str,
    look: Callable[[], Awaitable[T]],
    instead: Callable[[], object] | None = None,
    *,
    limit_seconds: float = PATIENCE_SECONDS,
    pause_seconds: float = POLL_SECONDS,
) -> T:
    """Look until there is something true to see; return it.

    Raises WaitError with `what` was waited for, and what there is `instead`, by default what was
    seen last.
    """
    seen: T | None = None
    limit = asyncio.timeout(limit_seconds)
    try:
        async with limit:
            while not (seen := await look()):  # noqa: ASYNC110  # another process brings it about
                await asyncio.sleep(pause_seconds)
            return seen
    except TimeoutError:
        if not limit.expired():
            raise
        there = seen if instead is None else instead()
        message = f"waited {limit_seconds:g} s for {what}; there is: {there!r}"
        raise WaitError(message) from None
