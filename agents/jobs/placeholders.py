"""Makes of UNKNOWN students of older versions what they are now."""

import asyncio
from typing import Final
from uuid import UUID

from rules.placeholders import Settled
from store.protocols.placeholders import PlaceholderProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

#: Again and again: workers of an older version beside this one make more of them.
PAUSE_SECONDS: Final = 300.0
#: Few, so that a teacher who waits for one of them does not notice.
STUDENTS_AT_ONCE: Final = 50

_log = get_logger(__name__)


class PlaceholderSettling:
    """Settles students with addresses of the service; what the clock needs it settles itself."""

    def __init__(self, placeholders: PlaceholderProtocol, metrics: Metrics) -> None:
        self._placeholders = placeholders
        self._metrics = metrics

    async def run(self) -> None:
        """Settle all of them at intervals."""
        while True:
            await self._settle_all()
            await self._withdraw_all()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _settle_all(self) -> None:
        last: UUID | None = None
        while True:
            settled = await self._placeholders.settle(last, STUDENTS_AT_ONCE)
            self._tell(settled)
            last = settled.last
            if last is None:
                return

    def _tell(self, settled: Settled) -> None:
        self._metrics.settled.labels("placeholder").inc(len(settled.placeholders))
        self._metrics.settled.labels("ordinary").inc(len(settled.freed))
        if settled.placeholders or settled.freed:
            _log.info(
                "UNKNOWN students settled",
                placeholders=list(map(str, settled.placeholders)),
                ordinary=list(map(str, settled.freed)),
            )

    async def _withdraw_all(self) -> None:
        while withdrawn := await self._placeholders.withdraw(STUDENTS_AT_ONCE):
            _log.info("suggestions of UNKNOWN withdrawn", students=list(map(str, withdrawn)))
