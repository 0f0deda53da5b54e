"""Applies imports class by class, and tells their owners how far they are."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from math import nan
from typing import Final
from uuid import UUID

from rules.errors import StoreUnavailableError
from rules.events.notifications import Push, import_progressed
from rules.imports.plans import ImportRecord, ImportState
from store.protocols.imports import ImportsProtocol, Stepped
from telemetry.health import OK
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

#: How soon an import is applied that another process was asked for. One look into an index that is
#: mostly empty.
POLL_SECONDS: Final = 1.0
#: Between two messages about one import: it may have a thousand classes.
TELL_SECONDS: Final = 1.0
MEASURE_SECONDS: Final = 5.0
#: An import whose turn is so long ago has nobody who applies it: each class takes a second at most.
LATE_SECONDS: Final = 60.0

#: What metrics call a class that was applied; the others are rules.imports.applying.LeftOut.
APPLIED: Final = "applied"

_log = get_logger(__name__)


class ImportsLoop:
    """Takes a step of whichever import has waited longest, all the time."""

    def __init__(
        self, imports: ImportsProtocol, push: Callable[[Push], None], metrics: Metrics
    ) -> None:
        """`push` takes a real-time message and never waits."""
        self._imports = imports
        self._push = push
        self._metrics = metrics
        self._told: dict[UUID, float] = {}

    async def run(self) -> None:
        """Keep applying."""
        while True:
            stepped = await self._imports.step()
            if stepped is None:
                self._told.clear()
                await self._imports.wait(POLL_SECONDS)
            else:
                self._report(stepped)

    def _report(self, stepped: Stepped) -> None:
        record = stepped.record
        if stepped.applied:
            self._metrics.import_classes.labels(APPLIED).inc()
        elif stepped.left_out is not None:
            self._metrics.import_classes.labels(stepped.left_out.value).inc()
        if stepped.error is not None:
            self._metrics.retries.labels("imports").inc()
            _log.error("class of an import failed", **_named(record), exc_info=stepped.error)
        if record.state is not ImportState.APPLYING:
            left_out = len(record.left_out)
            state = record.state.value
            _log.info("import ended", **_named(record), state=state, left_out=left_out)
        self._tell(stepped)

    def _tell(self, stepped: Stepped) -> None:
        """Tell how far an import is, at its end or when it was not told for a while."""
        record, now = stepped.record, asyncio.get_running_loop().time()
        has_ended = record.state is not ImportState.APPLYING
        if has_ended or now - self._told.get(record.id, -TELL_SECONDS) >= TELL_SECONDS:
            self._told[record.id] = now
            self._push(import_progressed(record, stepped.trace, datetime.now(UTC)))
        if has_ended:
            self._told.pop(record.id, None)


def _named(record: ImportRecord) -> dict[str, str]:
    return {"import_id": str(record.id)}


class ImportGauges:
    """Publishes as metrics how much is to be applied."""

    def __init__(self, imports: ImportsProtocol, metrics: Metrics) -> None:
        self._imports = imports
        self._metrics = metrics
        self._age_seconds = 0.0

    def state(self) -> str:
        """Return "ok", or for how long an import has been waiting for its turn."""
        if self._age_seconds <= LATE_SECONDS:
            return OK
        return f"an import has been waiting for {self._age_seconds:.0f} s to be applied"

    async def run(self) -> None:
        """Measure at intervals; what cannot be measured is shown as unknown."""
        while True:
            try:
                waiting = await self._imports.waiting()
            except StoreUnavailableError:
                self._show(nan, nan)
                raise
            self._age_seconds = waiting.age_seconds
            self._show(waiting.imports, waiting.age_seconds)
            await asyncio.sleep(MEASURE_SECONDS)

    def _show(self, imports: float, age_seconds: float) -> None:
        self._metrics.imports_applying.set(imports)
        self._metrics.imports_age.set(age_seconds)
