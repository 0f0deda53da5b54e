"""Reconciles the table of timers with PostgreSQL."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Final
from uuid import UUID

from agents.jobs.strays import remove_strays
from rules.models import BatchState, PendingBatch
from store.protocols.timers import TimerProtocol
from tables.codec import id_of, key_of, says
from tables.entries import Reconciliation
from tables.pending import PendingTable, TablePage
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

PAGE: Final = 1000
#: Per step, over all partitions of the table; a step takes a millisecond or two.
ENTRIES: Final = 2000
#: How much drift is checked again and repaired at a time: repairs come back through the outbox and
#: Kafka, and this bounds how many are in flight.
DRIFT_AT_ONCE: Final = 50_000
EXAMPLES: Final = 10
#: A comparison pauses for this share of the time it works: other tasks come first.
PAUSE_SHARE: Final = 1.0

_log = get_logger(__name__)


class DriftKind(StrEnum):
    """How an entry differs from PostgreSQL."""

    MISSING = "missing"
    STALE = "stale"
    DIFFERENT = "different"


@dataclass(slots=True)
class _Tally:
    repair: bool
    started_at: datetime
    checked: int = 0
    mended: int = 0
    found: dict[DriftKind, int] = field(default_factory=lambda: dict.fromkeys(DriftKind, 0))
    examples: list[UUID] = field(default_factory=list)

    def add(self, drift: dict[UUID, DriftKind]) -> None:
        for kind in drift.values():
            self.found[kind] += 1
        self.examples += islice(drift, EXAMPLES - len(self.examples))

    def report(self, *, running: bool) -> Reconciliation:
        return Reconciliation(
            running=running,
            repair=self.repair,
            started_at=self.started_at,
            finished_at=None if running else datetime.now(UTC),
            checked=self.checked,
            missing=self.found[DriftKind.MISSING],
            stale=self.found[DriftKind.STALE],
            different=self.found[DriftKind.DIFFERENT],
            mended=self.mended,
            examples=tuple(self.examples),
        )


class Reconciler:
    """Repairs the timers of this worker's partitions by publishing them again."""

    def __init__(
        self,
        table: PendingTable,
        timers: TimerProtocol,
        metrics: Metrics,
        drained: Callable[[], Awaitable[None]],
        interval_seconds: float,
    ) -> None:
        """`drained` returns once the table has applied the messages in flight."""
        self._table = table
        self._timers = timers
        self._metrics = metrics
        self._drained = drained
        self._interval_seconds = interval_seconds
        self._request: _Tally | None = None
        self._requested = asyncio.Event()
        self._repaired_generation: int | None = None
        self._repair_again_at = 0.0
        self._tally: _Tally | None = None
        self._finished: Reconciliation | None = None

    @property
    def last(self) -> Reconciliation | None:
        """The running or requested comparison, else the last one."""
        current = self._tally or self._request
        return current.report(running=True) if current else self._finished

    def request(self, *, repair: bool) -> None:
        """Request a comparison; returns at once."""
        earlier = self._request is not None and self._request.repair
        self._request = _Tally(repair or earlier, datetime.now(UTC))
        self._requested.set()

    async def run(self) -> None:
        """Reconcile once the table is ready, after a rebalance, at intervals, and on request.

        A comparison that only looks never replaces one that repairs.
        """
        while True:
            await self._table.ready()
            generation = self._table.generation
            outdated = generation != self._repaired_generation
            due = outdated or time.monotonic() >= self._repair_again_at
            asked, self._request = self._request, None
            self._requested.clear()
            if due or asked:
                await self._reconcile_as(due or (asked is not None and asked.repair), asked)
            if due:
                self._repaired_generation = generation
                self._repair_again_at = time.monotonic() + self._interval_seconds
            if self._request is None:
                await self._next_occasion(generation)

    async def _reconcile_as(self, repair: bool, asked: _Tally | None) -> None:  # noqa: FBT001  # of two reasons, not a switch
        try:
            await self.reconcile(repair=repair)
        except BaseException:
            # The next run serves the request.
            self._request = self._request or asked
            raise

    async def _next_occasion(self, generation: int) -> None:
        remaining = max(self._repair_again_at - time.monotonic(), 0.0)
        occasions = [
            asyncio.create_task(self._table.changed(generation, remaining)),
            asyncio.create_task(self._requested.wait()),
        ]
        try:
            await asyncio.wait(occasions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for occasion in occasions:
                occasion.cancel()

    async def reconcile(self, *, repair: bool = True) -> Reconciliation:
        """Compare everything that this worker holds, and repair it if asked."""
        self._tally = tally = _Tally(repair, datetime.now(UTC))
        try:
            if repair:
                await remove_strays(self._table, self._metrics)
            await self._compare(tally)
            self._finished = result = tally.report(running=False)
        finally:
            self._tally = None
        _log.info(
            "reconciled" if repair else "compared",
            checked=result.checked,
            missing=result.missing,
            stale=result.stale,
            different=result.different,
            mended=result.mended,
            partitions=len(self._table.partitions()),
        )
        return result

    async def _compare(self, tally: _Tally) -> None:
        suspects: list[UUID] = []
        after: UUID | None = None
        while True:
            began = time.monotonic()
            batches = await self._timers.pending_batches(after, PAGE)
            page = self._table.page(after, ENTRIES)
            until = _common_end(batches, page)
            suspects += self._suspects(batches, page, until, tally)
            if len(suspects) >= DRIFT_AT_ONCE:
                await self._check_again(suspects, tally)
                suspects = []
            if until is None:
                break
            after = id_of(until)
            await asyncio.sleep((time.monotonic() - began) * PAUSE_SHARE)
        await self._check_again(suspects, tally)

    def _suspects(
        self,
        batches: Sequence[PendingBatch],
        page: TablePage,
        until: bytes | None,
        tally: _Tally,
    ) -> list[UUID]:
        """Return the ids whose entries differ from PostgreSQL."""
        entries = page.entries
        owned = set(self._table.partitions())
        suspects: list[UUID] = []
        for batch in batches:
            key = key_of(batch.batch_id)
            if until is not None and key > until:
                break
            value = entries.pop(key, None)
            if value is None and self._table.partition_of(batch.batch_id) not in owned:
                continue
            tally.checked += 1
            if value is None or not says(value, batch.pending_count, batch.confirm_by):
                suspects.append(batch.batch_id)
        stale = [id_of(key) for key in entries if until is None or key <= until]
        tally.checked += len(stale)
        return suspects + stale

    async def _check_again(self, suspects: Sequence[UUID], tally: _Tally) -> None:
        """Count and repair what still differs once the table has applied the messages in flight."""
        if not suspects:
            return
        await self._drained()
        for start in range(0, len(suspects), PAGE):
            ids = suspects[start : start + PAGE]
            states = {state.batch_id: state for state in await self._timers.batch_states(ids)}
            drift = {i: kind for i in ids if (kind := self._drift(i, states.get(i))) is not None}
            tally.add(drift)
            if drift and tally.repair:
                await self._timers.rearm(list(drift))
                self._metrics.reconciled.inc(len(drift))
                tally.mended += len(drift)

    def _drift(self, batch_id: UUID, state: BatchState | None) -> DriftKind | None:
        partition = self._table.partition_of(batch_id)
        entry = self._table.get(batch_id, partition)
        if state is None or not state.pending_count or state.confirm_by is None:
            return DriftKind.STALE if entry else None
        if entry is None:
            return DriftKind.MISSING if partition in self._table.partitions() else None
        expected = state.pending_count, state.confirm_by
        return None if (entry.pending_count, entry.confirm_by) == expected else DriftKind.DIFFERENT


def _common_end(batches: Sequence[PendingBatch], page: TablePage) -> bytes | None:
    """Return the key up to which both sides have been read, None if both are at their end."""
    ends = [key_of(batches[-1].batch_id)] if len(batches) == PAGE else []
    if page.until is not None:
        ends.append(page.until)
    return min(ends, default=None)
