"""Closes open batches in which nobody decides any more."""

import asyncio
from collections.abc import Sequence
from typing import Final

from rules.open_batches import Ending, Settled
from store.protocols.open_batches import OpenBatchesProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

#: How soon the batches of a deleted class close. One look into an index that is mostly empty.
POLL_SECONDS: Final = 1.0
BATCHES_AT_ONCE: Final = 50
#: Until what failed is tried again, where nothing else was found.
FAILURE_SECONDS: Final = 30.0

_log = get_logger(__name__)


class OpenBatchesLoop:
    """Looks for batches of deleted classes all the time, and now and then at all open batches.

    The second finds what other versions leave behind, so it has to find nothing.
    """

    def __init__(
        self, open_batches: OpenBatchesProtocol, metrics: Metrics, interval_seconds: float
    ) -> None:
        """Look at all open batches at the start, and each `interval_seconds`."""
        self._open_batches = open_batches
        self._metrics = metrics
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Keep closing; after a full page again at once."""
        clock = asyncio.get_running_loop().time
        look_at_all = clock()
        while True:
            closed = await self._open_batches.settle(BATCHES_AT_ONCE)
            if clock() >= look_at_all:
                idle = await self._open_batches.settle_idle(BATCHES_AT_ONCE)
                if not _progress(idle):
                    look_at_all = clock() + self._interval_seconds
                closed += idle
            self._report(closed)
            if not _progress(closed):
                await asyncio.sleep(FAILURE_SECONDS if _failures(closed) else POLL_SECONDS)

    def _report(self, closed: Sequence[Settled]) -> None:
        for one in closed:
            if one.ending is None:
                self._metrics.retries.labels("open batches").inc()
                batch_id = str(one.batch_id)
                _log.error("batch could not be closed", batch_id=batch_id, exc_info=one.error)
            else:
                self._metrics.batches_settled.labels(one.ending.value).inc()
                _log_closed(one, one.ending)


def _progress(closed: Sequence[Settled]) -> bool:
    return any(one.ending for one in closed)


def _failures(closed: Sequence[Settled]) -> bool:
    return any(one.error for one in closed)


def _log_closed(one: Settled, ending: Ending) -> None:
    batch_id = str(one.batch_id)
    match ending:
        case Ending.CLASS_DELETED:
            _log.info("batch of a deleted class closed", batch_id=batch_id, rejected=one.rejected)
        case Ending.CLASS_UNKNOWN:
            _log.warning("batch of an unknown class closed without an event", batch_id=batch_id)
        case Ending.NOTHING_PENDING:
            _log.info("batch with nothing to decide closed", batch_id=batch_id)
