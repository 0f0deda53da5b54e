"""Waits until the database is back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from agents.backoff import Backoff
from rules.errors import StoreUnavailableError
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 0.1

_log = get_logger(__name__)


async def with_retry(work: Callable[[], Awaitable[T]], component: str, metrics: Metrics) -> T:
    """Do `work`; retry until the database is back. Other errors are raised at once."""
    backoff = Backoff(FIRST_PAUSE_SECONDS)
    while True:
        try:
            result = await work()
        except StoreUnavailableError as error:
            metrics.retries.labels(component).inc()
            if not backoff.pauses:
                _log.warning("database away, retrying", component=component, exc_info=error)
            await asyncio.sleep(backoff.next())
        else:
            if backoff.pauses:
                _log.info("database back", component=component, attempts=backoff.pauses)
            return result
