"""Gives numbers to the changes that have been committed, and watches how far behind that is.

Every process with streams does it: the store lets one at a time, for one transaction, so that the
next one goes on at once where a process ends.
"""

import asyncio
from math import nan
from typing import Final

from rules.errors import StoreUnavailableError
from store.protocols.feed import FeedProtocol
from telemetry.health import OK
from telemetry.metrics import Metrics

#: Between two looks: what a change waits for at most, as long as all goes well.
LOOK_SECONDS: Final = 0.25
#: A change that waits for so long is late, but one may be: that of a transaction that took long.
LATE_SECONDS: Final = 60.0
LATE_LOOKS: Final = 20


class FeedNumbering:
    """Numbers changes as they come."""

    def __init__(self, feed: FeedProtocol, metrics: Metrics) -> None:
        self._feed = feed
        self._metrics = metrics
        self._seconds = 0.0
        self._late = 0

    async def run(self) -> None:
        """Look at intervals; what cannot be measured is shown as unknown."""
        while True:
            try:
                self._note(await self._feed.waiting_seconds())
                if self._seconds:
                    await self._feed.number()
            except StoreUnavailableError:
                self._metrics.feed_lag.set(nan)
                raise
            await asyncio.sleep(LOOK_SECONDS)

    def _note(self, seconds: float | None) -> None:
        self._seconds = seconds or 0.0
        self._late = self._late + 1 if self._seconds > LATE_SECONDS else 0
        self._metrics.feed_lag.set(self._seconds)

    def state(self) -> str:
        """Return "ok", or for how long changes have been waiting."""
        if self._late < LATE_LOOKS:
            return OK
        return f"changes have been waiting for {self._seconds:.0f} s to be told"
