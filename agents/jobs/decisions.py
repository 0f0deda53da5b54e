"""Makes the store decide the batches that are due."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from agents.cancelling import end
from store.protocols.timers import DecidedByClock, TimerProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

BATCHES_AT_ONCE: Final = 250
#: While PostgreSQL works on one call, the events of the other are built.
CALLS_AT_ONCE: Final = 2

_log = get_logger(__name__)


class ClockDecisions:
    """Decides batches and reports how late it did so."""

    def __init__(self, timers: TimerProtocol, metrics: Metrics) -> None:
        self._timers = timers
        self._metrics = metrics
        self._at_once = BATCHES_AT_ONCE

    async def decide(self, batch_ids: Sequence[UUID], found_by: str) -> int:
        """Decide what is due, in as many transactions as needed; return how many essays."""
        essays = 0
        left = tuple(batch_ids)
        while left:
            asked, left = left[: self._at_once], left[self._at_once :]
            decided = await self._timers.decide_due(asked)
            self._adapt(len(asked), len(decided.left))
            self._report(decided, len(asked) - len(decided.left), found_by)
            left = decided.left + left
            essays += decided.essays
        return essays

    def _adapt(self, asked: int, left: int) -> None:
        """Ask next time for about as many batches as fit: the others are counted in vain."""
        if left:
            self._at_once = (asked - left) * 5 // 4 + 1
        elif asked == self._at_once:
            self._at_once = min(2 * asked, BATCHES_AT_ONCE)

    def _report(self, decided: DecidedByClock, batches: int, found_by: str) -> None:
        for seconds in decided.lateness:
            self._metrics.timer_lateness.observe(seconds)
        if decided.essays:
            _log.info(
                "decided by the clock",
                batches=batches,
                essays=decided.essays,
                found_by=found_by,
                latest_seconds=round(max(decided.lateness), 3),
            )


async def repeat_at_once(call: Callable[[], Awaitable[None]]) -> None:
    """Make `call` again and again, CALLS_AT_ONCE of it at a time, until one fails, which ends all.

    Raises its error.
    """

    async def repeat() -> None:
        while True:
            await call()

    callers = [asyncio.ensure_future(repeat()) for _ in range(CALLS_AT_ONCE)]
    try:
        await asyncio.gather(*callers)
    finally:
        await end(callers)
