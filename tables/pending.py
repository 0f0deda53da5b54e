"""The table of pending associations: a Faust table in RocksDB, one entry per pending batch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import faust
from faust.types import TP

from rules.topics import TIMERS
from tables.codec import (
    TimerEntry,
    id_of,
    instant_bytes,
    instant_of,
    key_of,
    pack,
    readable,
    unpack,
)
from tables.deadlines import DeadlineIndex
from tables.layout import adopt
from tables.names import PENDING_ASSOCIATIONS
from tables.partitioning import Partitioning
from tables.restore import ChangelogRestorer, OpenChangelog, ReportsProtocol
from tables.rocksdb import SharedMemory, is_damage
from tables.scan import STEP, Row, count_after, rows_after
from tables.soonest import Rank, Soonest

#: Only deadlines within this time are kept in memory,
HORIZON: Final = timedelta(hours=1)
#: and at most this many of them; the next ones are loaded as these are decided.
IN_MEMORY: Final = 10_000
#: Deadlines loaded between two turns of the event loop.
_REMEMBERED_AT_ONCE: Final = 500

_READY_POLL_SECONDS: Final = 0.1
_AFTER_ALL_KEYS: Final = b"\xff" * 17


@dataclass(frozen=True, slots=True)
class TableConfig:
    """The table's partitions, RocksDB's memory in bytes, and the changelog.

    `reports` is told what is missing from the changelog.
    """

    partitioning: Partitioning
    memory_bytes: int
    changelog_topic: str
    open_changelog: OpenChangelog
    reports: ReportsProtocol


class PendingTable:
    """The table, and the deadlines over it."""

    def __init__(self, app: faust.App, config: TableConfig) -> None:
        partitioning = config.partitioning
        self.partition_count = partitioning.count
        self.partition_of = partitioning.of
        self.changelog = config.changelog_topic
        self.deadlines = DeadlineIndex()
        self.generation = 0
        self._app: Any = app  # Faust's types lack the attributes read below
        self._changed = asyncio.Event()
        self._until = datetime.min.replace(tzinfo=UTC)
        self._memory = SharedMemory(config.memory_bytes, partitioning.count)
        adopt(app.conf.tabledir, partitioning.count)
        self._table: Any = cast("Any", app).Table(
            PENDING_ASSOCIATIONS,
            partitions=partitioning.count,
            key_type=bytes,
            value_type=bytes,
            recovery_buffer_size=1000,
            options={
                "memory": self._memory,
                "partitioning": partitioning,
                "restorer": ChangelogRestorer(
                    config.open_changelog,
                    partitioning,
                    lambda: bool(app.should_stop),
                    config.reports,
                ),
                "reports": config.reports,
            },
        )
        # The preflight and the watch compare the two topics. Faust would at the first message, and
        # end the agent over and over (PartitionsMismatch).
        self._table._verified_source_topics_for_partitions.add(TIMERS)  # noqa: SLF001

    # --- writing, only inside the timers agent --------------------------------------------------

    def arm(self, entry: TimerEntry) -> None:
        """Set a batch's timer, even if it was popped as due before."""
        self._table[key_of(entry.batch_id)] = pack(entry, self.partition_count)
        self.deadlines.discard(entry.batch_id)
        if entry.confirm_by <= self._until:
            self._remember(entry.batch_id, entry.confirm_by)

    def clear(self, batch_id: UUID) -> None:
        """Remove a batch's timer."""
        self._table.pop(key_of(batch_id), None)
        self.deadlines.discard(batch_id)

    def _remember(self, batch_id: UUID, deadline: datetime) -> None:
        self.deadlines.set(batch_id, deadline)
        if len(self.deadlines) > 2 * IN_MEMORY:
            self._until = self.deadlines.keep_soonest(IN_MEMORY)

    # --- removing what is no entry, from anywhere -----------------------------------------------

    def remove(self, partition: int, key: bytes) -> bool:
        """Remove a row that is no entry of its partition; return whether there was one.

        Not as the agent does: Faust would look for the key in the partition of the agent's event.
        """
        database = self._databases().get(partition)
        value = database.get(key) if database is not None else None
        if database is None or value is None or self.belongs(key, value, partition):
            return False
        database.delete(key)
        self._table.send_changelog(
            partition, key, None, key_serializer="raw", value_serializer="raw"
        )
        return True

    # --- reading, from anywhere ----------------------------------------------------------------

    @property
    def memory_bytes(self) -> int:
        """The memory that RocksDB uses."""
        return self._memory.used_bytes

    @property
    def recovered(self) -> bool:
        """Whether the table has caught up with its changelog and no rebalance is going on."""
        app = self._app
        completed: bool = app.tables.recovery.completed.is_set()
        return completed and not app.rebalancing and not app.in_recovery

    async def ready(self) -> None:
        """Return once the table is recovered."""
        while not self.recovered:  # noqa: ASYNC110  # Faust has several flags and no event for all
            await asyncio.sleep(_READY_POLL_SECONDS)

    def notify_changed(self) -> None:
        """Record that this worker's partitions have changed."""
        self.generation += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, since: int, timeout_seconds: float) -> None:
        """Return once `generation` differs from `since`, at the latest after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.generation == since:
                    await self._changed.wait()

    def partitions(self) -> list[int]:
        """Return the partitions that this worker owns."""
        return sorted(self._databases())

    def get(self, batch_id: UUID, partition: int) -> TimerEntry | None:
        """Return a batch's entry, None if this worker does not have it."""
        database = self._databases().get(partition)
        key = key_of(batch_id)
        value = database.get(key) if database is not None else None
        return unpack(key, value) if value is not None and readable(key, value) else None

    def belongs(self, key: bytes, value: bytes, partition: int) -> bool:
        """Return whether a row is an entry of its partition; computing that takes 10 us."""
        return readable(key, value) and self.partition_of(id_of(key)) == partition

    async def rows(self) -> AsyncIterator[tuple[int, Sequence[Row]]]:
        """Yield all rows, partition by partition; other tasks run between the steps.

        They come from a topic and from files: not each has to be an entry.
        """
        for partition in self.partitions():
            after: bytes | None = None
            while rows := self._rows_after(partition, after, STEP):
                yield partition, rows
                after = rows[-1][0]
                await asyncio.sleep(0)

    def page(self, after: UUID | None, limit: int) -> "TablePage":
        """Return entries of all partitions by key, those that follow `after`."""
        start = None if after is None else key_of(after)
        partitions = self.partitions()
        per_partition = limit // max(len(partitions), 1) + 1
        entries: dict[bytes, bytes] = {}
        ends: list[bytes] = []
        for partition in partitions:
            found = self._rows_after(partition, start, per_partition)
            entries.update(row for row in found if readable(*row))
            if len(found) == per_partition:
                ends.append(found[-1][0])
        return TablePage(entries, min(ends, default=None))

    async def count(self) -> int:
        """Return how many entries this worker holds."""
        total = 0
        for partition in self.partitions():
            after: bytes | None = None
            while database := self._databases().get(partition):
                counted, after = count_after(database, after)
                del database  # the partition's next owner needs its lock
                total += counted
                await asyncio.sleep(0)
                if after is None:
                    break
        return total

    # --- the deadlines in memory ----------------------------------------------------------------

    def needs_loading(self, now: datetime) -> bool:
        """Whether the deadlines in memory run low while the table may have more."""
        return len(self.deadlines) < IN_MEMORY // 2 and self._until < now + HORIZON / 2

    async def load(self, now: datetime) -> None:
        """Load the next deadlines into memory, replacing those that are there."""
        horizon = now + HORIZON
        self._until = horizon  # for timers armed meanwhile
        last = (instant_bytes(horizon), _AFTER_ALL_KEYS)
        with self.deadlines.renewal():
            collector = Soonest(IN_MEMORY, until=last, without=self._is_taken)
            async for partition, rows in self.rows():
                collector.offer(rows, partition)
            soonest = collector.found()
            for number, ((deadline, key), _, _) in enumerate(soonest):
                self._remember(id_of(key), instant_of(deadline))
                if number % _REMEMBERED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        if collector.truncated:
            self._until = min(self._until, instant_of(soonest[-1][0][0]))

    def _is_taken(self, rank: Rank) -> bool:
        """Whether an entry is being decided: it stays until that change has come back."""
        return self.deadlines.taken(id_of(rank[1]), instant_of(rank[0]))

    def changelog_lag(self) -> int:
        """Return how many changelog records this worker still has to read."""
        remaining: int = self._app.tables.recovery.active_remaining_total()
        return max(remaining, 0)

    def _rows_after(self, partition: int, after: bytes | None, limit: int) -> Sequence[Row]:
        database = self._databases().get(partition)
        if database is None:
            return ()
        try:
            return rows_after(database, after, limit)
        except Exception as error:
            if is_damage(error):
                # The restarted worker finds the damage again and rebuilds the partition.
                asyncio.ensure_future(self._app.crash(error))  # noqa: RUF006  # the App keeps it
            raise

    def _databases(self) -> dict[int, Any]:
        actives = self._app.assignor.assigned_actives()
        databases: dict[int, Any] = self._table.data._dbs  # noqa: SLF001  # no public access
        return {p: db for p, db in databases.items() if TP(self.changelog, p) in actives}


@dataclass(frozen=True, slots=True)
class TablePage:
    """Stored entries, complete up to and including `until`; None is the end."""

    entries: dict[bytes, bytes]
    until: bytes | None
