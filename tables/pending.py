"""The table of pending associations: a Faust table in RocksDB, one entry per pending batch."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import faust
import orjson
from faust.types import TP

from rules.envelopes import to_json
from tables.deadlines import DeadlineIndex
from tables.names import PENDING_ASSOCIATIONS

#: The key under which Faust keeps the changelog offset beside the entries.
_OFFSET_KEY: Final = b"__faust\0offset__"

#: Only what falls due within this time is kept in memory.
HORIZON: Final = timedelta(hours=1)
_SCAN_STEP: Final = 500
_COUNT_STEP: Final = 20_000
_READY_POLL_SECONDS: Final = 0.1

_MIB: Final = 1024 * 1024
ROCKSDB_OPTIONS: Final = {
    "driver": "rocksdict",
    "block_cache_size": 8 * _MIB,
    "block_cache_compressed_size": 0,
    "write_buffer_size": 4 * _MIB,
    "max_write_buffer_number": 2,
    "target_file_size_base": 8 * _MIB,
    "max_open_files": 64,
}


@dataclass(frozen=True, slots=True)
class TimerEntry:
    """A batch with pending associations; `confirm_by` is the soonest. No names, no emails."""

    batch_id: UUID
    class_id: UUID
    pending_count: int
    confirm_by: datetime
    armed_at: datetime


def _key(batch_id: UUID) -> bytes:
    return str(batch_id).encode()


def _pack(entry: TimerEntry) -> bytes:
    return to_json(
        {
            "class_id": entry.class_id,
            "pending_count": entry.pending_count,
            "confirm_by": entry.confirm_by,
            "armed_at": entry.armed_at,
        }
    )


def _unpack(key: bytes, value: bytes) -> TimerEntry:
    members = orjson.loads(value)
    return TimerEntry(
        UUID(key.decode()),
        UUID(members["class_id"]),
        members["pending_count"],
        datetime.fromisoformat(members["confirm_by"]),
        datetime.fromisoformat(members["armed_at"]),
    )


class PendingTable:
    """What the agents and views need of the table, and the deadlines over it."""

    def __init__(self, app: faust.App, partitions: int) -> None:
        self.partition_count = partitions
        self.deadlines = DeadlineIndex()
        self._app: Any = app  # Faust's own types leave out what is read below
        self.generation = 0
        self._changed = asyncio.Event()
        self._until = datetime.min.replace(tzinfo=UTC)
        self._table: Any = app.Table(
            PENDING_ASSOCIATIONS,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            recovery_buffer_size=1000,
            options=dict(ROCKSDB_OPTIONS),
        )

    @property
    def changelog(self) -> str:
        """The name of the changelog topic."""
        name: str = self._table.changelog_topic.get_topic_name()
        return name

    # --- writing, inside the timers agent only ------------------------------------------------

    def arm(self, entry: TimerEntry) -> None:
        """Set a batch's timer."""
        self._table[_key(entry.batch_id)] = _pack(entry)
        self._remember(entry)

    def clear(self, batch_id: UUID) -> None:
        """Remove a batch's timer."""
        self._table.pop(_key(batch_id), None)
        self.deadlines.discard(batch_id)

    def _remember(self, entry: TimerEntry) -> None:
        if entry.confirm_by <= self._until:
            self.deadlines.set(entry.batch_id, entry.confirm_by)
        else:
            self.deadlines.discard(entry.batch_id)

    # --- reading, from anywhere ----------------------------------------------------------------

    @property
    def recovered(self) -> bool:
        """Whether the table is as its changelog has it, and stays where it is."""
        app = self._app
        completed: bool = app.tables.recovery.completed.is_set()
        return completed and not app.rebalancing and not app.in_recovery

    async def ready(self) -> None:
        """Return once the table is recovered."""
        while not self.recovered:  # noqa: ASYNC110  # Faust has several flags and no event for all
            await asyncio.sleep(_READY_POLL_SECONDS)

    def notify_changed(self) -> None:
        """Say that this worker holds other partitions than before."""
        self.generation += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, since: int, timeout_seconds: float) -> None:
        """Return once `generation` is not `since` any more, at the latest after the timeout."""
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
        value = database.get(_key(batch_id)) if database is not None else None
        return None if value is None else _unpack(_key(batch_id), value)

    async def pages(self, size: int) -> AsyncIterator[list[tuple[int, TimerEntry]]]:
        """Walk over all entries with their partitions, a page at a time; others run in between."""
        for partition, database in self._databases().items():
            entries = _entries(database)
            while page := [(partition, entry) for entry in itertools.islice(entries, size)]:
                yield page
                await asyncio.sleep(0)

    async def count(self) -> int:
        """Return how many entries this worker holds; others run in between."""
        counted = 0
        for database in self._databases().values():
            keys = (key for key in database.keys() if key != _OFFSET_KEY)  # noqa: SIM118  # no dict
            while step := sum(1 for _ in itertools.islice(keys, _COUNT_STEP)):
                counted += step
                await asyncio.sleep(0)
        return counted

    async def load(self, until: datetime) -> None:
        """Take what falls due until then into memory."""
        self._until = until
        async for page in self.pages(_SCAN_STEP):
            for _, entry in page:
                self._remember(entry)

    def changelog_lag(self) -> int:
        """Return how many changelog records this worker has still to read."""
        remaining: int = self._app.tables.recovery.active_remaining_total()
        return max(remaining, 0)

    def _databases(self) -> dict[int, Any]:
        actives = self._app.assignor.assigned_actives()
        databases: dict[int, Any] = self._table.data._dbs  # noqa: SLF001  # no public way in
        return {p: db for p, db in databases.items() if TP(self.changelog, p) in actives}


def _entries(database: Any) -> Iterator[TimerEntry]:  # noqa: ANN401  # rocksdict has no types
    for key, value in database.items():
        if key != _OFFSET_KEY:
            yield _unpack(key, value)
