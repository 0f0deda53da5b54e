"""Waits until the database is back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from agents.backoff import Backoff
from agents.outages import Outage
from rules.errors import StoreUnavailableError
from telemetry.metrics import Metrics

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 0.1


async def with_retry(work: Callable[[], Awaitable[T]], component: str, metrics: Metrics) -> T:
    """Do `work`; retry until the database is back. Other errors are raised at once."""
    backoff = Backoff(FIRST_PAUSE_SECONDS)
    outage: Outage | None = None
    while True:
        try:
            result = await work()
        except StoreUnavailableError as error:
            metrics.retries.labels(component).inc()
            outage = outage or Outage("database away, retrying", component=component)
            outage.away(error)
            await asyncio.sleep(backoff.next())
        else:
            if outage is not None:
                outage.over()
            return result
