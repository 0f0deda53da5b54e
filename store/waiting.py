"""Waiting for what another request is doing, without holding what it may need."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from rules.errors import KeyUnderWayError
from rules.idempotency import WAIT_SECONDS

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.1


async def when_free(attempt: Callable[[], Awaitable[T | None]]) -> T:
    """Return the result of `attempt`, which is None while the key is another request's.

    Raises KeyUnderWayError if it still is after WAIT_SECONDS.
    """
    clock = asyncio.get_running_loop().time
    until, pause = clock() + WAIT_SECONDS, _FIRST_PAUSE
    while (result := await attempt()) is None:
        if clock() >= until:
            raise KeyUnderWayError
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return result
