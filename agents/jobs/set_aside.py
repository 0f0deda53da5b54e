"""Watches what of the outbox waits for a person."""

import asyncio
from math import nan
from typing import Final

from rules.errors import StoreUnavailableError
from store.protocols.set_aside import SetAsideCounts, SetAsideProtocol
from telemetry.health import OK
from telemetry.metrics import Metrics

LOOK_SECONDS: Final = 5.0
COMMAND: Final = "class-management outbox list"


class SetAsideWatch:
    """Counts the messages that are set aside, so that health tells without waiting."""

    def __init__(self, set_aside: SetAsideProtocol, metrics: Metrics) -> None:
        self._set_aside = set_aside
        self._metrics = metrics
        self._counts = SetAsideCounts(0, 0)

    async def run(self) -> None:
        """Count at intervals; what cannot be counted is shown as unknown."""
        while True:
            try:
                self._counts = await self._set_aside.counts()
            except StoreUnavailableError:
                self._metrics.set_aside.set(nan)
                raise
            self._metrics.set_aside.set(self._counts.refused + self._counts.waiting)
            await asyncio.sleep(LOOK_SECONDS)

    def state(self) -> str:
        """Return "ok", or how many messages are set aside."""
        counts = self._counts
        if not counts.refused:
            return OK
        refused = f"{counts.refused} refused by the broker, {counts.waiting} behind them"
        return f"messages set aside: {refused}: {COMMAND}"
