"""Restores partitions from their changelog, a hundred times as fast as Faust.

Faust's recovery passes each record through its streams (5,000 entries a second). This reads the
changelog with a separate consumer and writes batches; Faust then recovers what is left.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

from rocksdict import WriteBatch

from rules.models import Record
from tables.codec import id_of, partitions_of, readable
from tables.partitioning import Partitioning
from telemetry.logs import get_logger

_log = get_logger(__name__)

#: A partition of the changelog, in Faust's or aiokafka's type.
Place: TypeAlias = Any


class ReadingProtocol(Protocol):
    """Reads places to their ends."""

    unread: set[Place]

    async def poll(self) -> Mapping[Place, Sequence[Any]]:
        """Return the next records, or none after a while. Raises TimeoutError, OSError."""


class ChangelogProtocol(Protocol):
    """A connected reader of the changelog."""

    async def bounds(self, places: Iterable[Place]) -> Mapping[Place, tuple[int, int]]:
        """Return where each begins and ends. Raises OSError."""

    def read(self, stretches: Mapping[Place, tuple[int, int | None]]) -> ReadingProtocol:
        """Start to read from an offset to before another, or to where the log ends now."""


#: Connects to Kafka. Raises OSError.
OpenChangelog: TypeAlias = Callable[[], AbstractAsyncContextManager[ChangelogProtocol]]


class ReportsProtocol(Protocol):
    """Is told what is missing from a changelog; waits for nothing."""

    def passed_over(self, record: Record) -> None:
        """Note a batch that cannot be decoded, for which a record stands."""

    def lost(self, place: Place, begin: int, end: int) -> None:
        """Note offsets, from `begin` to before `end`, that were deleted before they were read."""


class DatabasesProtocol(Protocol):
    """The databases of a table's partitions."""

    def persisted_offset(self, tp: Place) -> int | None:
        """Return the last changelog offset that a partition has applied."""

    def set_persisted_offset(self, tp: Place, offset: int) -> None:
        """Store that offset."""

    def write(self, partition: int, batch: WriteBatch) -> None:
        """Write to a partition, all or nothing."""


class ChangelogRestorer:
    """Brings partitions up to the end of their changelog."""

    def __init__(
        self,
        open_changelog: OpenChangelog,
        partitioning: Partitioning,
        stopping: Callable[[], bool],
        reports: ReportsProtocol,
    ) -> None:
        self._open_changelog = open_changelog
        self._partitioning = partitioning
        self._stopping = stopping
        self._reports = reports

    async def restore(self, databases: DatabasesProtocol, places: Sequence[Place]) -> None:
        """Restore these partitions, or part of them if the worker stops or Kafka fails.

        Faust recovers the rest.
        """
        if not places:
            return
        try:
            async with self._open_changelog() as changelog:
                run = _Run(changelog, databases, self._partitioning, self._reports)
                await run.execute(places, self._stopping)
        except OSError as error:
            _log.warning("changelog not read at once, left to slower recovery", exc_info=error)


class _Run:
    """One restore of some partitions."""

    def __init__(
        self,
        changelog: ChangelogProtocol,
        databases: DatabasesProtocol,
        partitioning: Partitioning,
        reports: ReportsProtocol,
    ) -> None:
        self._changelog = changelog
        self._databases = databases
        self._partitioning = partitioning
        self._reports = reports
        self._ends: dict[Place, int] = {}
        self._records = 0
        self._foreign = 0

    async def execute(self, places: Sequence[Place], stopping: Callable[[], bool]) -> None:
        began = time.monotonic()
        behind = await self._behind(places)
        if not behind:
            return
        unfinished = await self._read(behind, stopping)
        _log.info(
            "table restored from its changelog",
            partitions=sorted(place.partition for place in behind),
            records=self._records,
            foreign=self._foreign,
            unfinished=sorted(place.partition for place in unfinished),
            seconds=round(time.monotonic() - began, 2),
        )

    async def _behind(self, places: Sequence[Place]) -> dict[Place, tuple[int, None]]:
        """Return where to continue in each partition that has records to read."""
        behind: dict[Place, tuple[int, None]] = {}
        for place, (first, end) in (await self._changelog.bounds(places)).items():
            offset = self._databases.persisted_offset(place)
            if offset is not None and offset >= max(end, 1):
                self._keep_entries(place, offset, end)
                offset = end - 1
            start = first if offset is None else max(offset + 1, first)
            if offset is not None and offset + 1 < first:
                self._reports.lost(place, offset + 1, first)
            self._ends[place] = end
            if start < end:
                behind[place] = (start, None)
        return behind

    def _keep_entries(self, place: Place, offset: int, end: int) -> None:
        """Keep the entries of a changelog that was recreated: the reconciler compares them."""
        _log.warning(
            "changelog was made anew, entries kept",
            partition=place.partition,
            read_up_to=offset,
            ends_at=end,
        )
        self._databases.set_persisted_offset(place, end - 1)

    async def _read(
        self, behind: Mapping[Place, tuple[int, None]], stopping: Callable[[], bool]
    ) -> Collection[Place]:
        """Read and write; return the partitions left to Faust."""
        reading = self._changelog.read(behind)
        while reading.unread and not stopping():
            try:
                fetched = await reading.poll()
            except TimeoutError:
                break
            for place, records in fetched.items():
                self._write(place, records)
                await asyncio.sleep(0)
        self._skip_markers(behind.keys() - reading.unread)
        return reading.unread

    def _skip_markers(self, places: Collection[Place]) -> None:
        """Note that these were read to their ends: Faust would wait for a record there.

        It never comes where the last offset is that of a transaction's marker.
        """
        for place in places:
            last, persisted = self._ends[place] - 1, self._databases.persisted_offset(place)
            if persisted is None or persisted < last:
                self._databases.set_persisted_offset(place, last)

    def _write(self, place: Place, records: Sequence[Any]) -> None:
        batch = WriteBatch(raw_mode=True)
        for record in records:
            if missing := passed_over(record):
                self._reports.passed_over(missing)
                continue
            key, value = record.key, record.value
            self._foreign += not put(batch, key, value, place.partition, self._partitioning)
        self._databases.write(place.partition, batch)
        self._databases.set_persisted_offset(place, records[-1].offset)
        self._records += len(records)


def passed_over(message: Any) -> Record | None:  # noqa: ANN401  # Faust's or aiokafka's
    """Return a record if a message stands for a batch that cannot be decoded."""
    batch = getattr(message, "undecodable", None)
    if batch is None:
        return None
    place = message.topic, message.partition, message.offset
    return Record(*place, 0, None, None, (), undecodable=batch)


def put(
    batch: WriteBatch,
    key: bytes | None,
    value: bytes | None,
    partition: int,
    partitioning: Partitioning,
) -> bool:
    """Add a changelog record to a batch of writes; return whether it belongs to the table.

    That is a deletion, or an entry of this partition in the current format. The key of any other
    record is deleted.
    """
    if not key:
        return False
    if value is None:
        batch.delete(key)
        return True
    if readable(key, value) and _belongs(key, value, partition, partitioning):
        batch.put(key, value)
        return True
    batch.delete(key)
    return False


def _belongs(key: bytes, value: bytes, partition: int, partitioning: Partitioning) -> bool:
    return partitions_of(value) == partitioning.count or partitioning.of(id_of(key)) == partition
