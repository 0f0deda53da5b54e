"""How an agent gets a piece of work done whatever happens to it.

Faust loses the rest of a batch for good when an exception leaves an agent's loop, so nothing
leaves: a dependency that is down is waited for, and data that can never be stored is found by
halving and buried.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from rules.errors import StoreUnavailableError
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 5.0

_log = get_logger(__name__)


async def persistently(work: Callable[[], Awaitable[T]], component: str, metrics: Metrics) -> T:
    """Do `work`, again for as long as the database is away. Other errors leave at once."""
    pause = FIRST_PAUSE_SECONDS
    attempts = 0
    while True:
        try:
            result = await work()
        except StoreUnavailableError as error:
            attempts += 1
            metrics.retries.labels(component).inc()
            if attempts == 1:
                _log.warning("database away, retrying", component=component, exc_info=error)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
        else:
            if attempts:
                _log.info("database back", component=component, attempts=attempts)
            return result


async def halving(
    items: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[None]],
    bury: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """Do `work` on all items at once; where that fails, in halves, until the culprit is alone.

    The items keep their order. `bury` gets each culprit with what it caused.
    """
    try:
        await work(items)
    except Exception as error:  # noqa: BLE001  # whatever a message causes must not stop the stream
        if len(items) == 1:
            await bury(items[0], error)
            return
        middle = len(items) // 2
        await halving(items[:middle], work, bury)
        await halving(items[middle:], work, bury)
