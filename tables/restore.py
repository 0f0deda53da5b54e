"""Fills the databases of partitions from their changelog, a hundred times as fast as Faust does.

Faust's own recovery passes each record through its stream machinery (5,000 entries a second). This
reads the changelog with a consumer of its own and writes it in batches; what it leaves, Faust
recovers after it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from rocksdict import WriteBatch

from tables.codec import id_of, partitions_of, readable
from tables.partitions import partition_of
from telemetry.logs import get_logger

RECORDS_AT_ONCE: Final = 2_000
POLL_MS: Final = 200
FETCH_MAX_WAIT_MS: Final = 100
PARTITION_FETCH_BYTES: Final = 2 * 1024 * 1024
#: A changelog that gives nothing for so long is left to Faust's own recovery.
PATIENCE_SECONDS: Final = 10.0

_log = get_logger(__name__)


class DatabasesProtocol(Protocol):
    """The databases of a table's partitions."""

    def persisted_offset(self, tp: Any) -> int | None:  # noqa: ANN401  # aiokafka's or Faust's
        """Return the last changelog offset that a partition has taken in."""

    def set_persisted_offset(self, tp: Any, offset: int) -> None:  # noqa: ANN401
        """Remember it."""

    def write(self, partition: int, batch: WriteBatch) -> None:
        """Write to a partition, all or nothing."""


@dataclass(frozen=True, slots=True)
class Changelog:
    """Where the changelog is: its topic, its partitions, and how a Kafka client connects."""

    topic: str
    partitions: int
    client_options: Mapping[str, Any]


class ChangelogRestorer:
    """Brings partitions up to the end of their changelog."""

    def __init__(self, changelog: Changelog, stopping: Callable[[], bool]) -> None:
        self._changelog = changelog
        self._stopping = stopping

    async def restore(self, databases: DatabasesProtocol, partitions: Sequence[int]) -> None:
        """Restore these partitions; logs one line where there was something to do.

        Returns early where the worker is stopping. Raises nothing of Kafka's: what is not read
        here is left to Faust.
        """
        places = [TopicPartition(self._changelog.topic, p) for p in partitions]
        if not places:
            return
        consumer = AIOKafkaConsumer(
            **self._changelog.client_options,
            client_id="class-management-restore",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        )
        try:
            await consumer.start()
            consumer.assign(places)
            await _Run(consumer, databases, self._changelog).execute(places, self._stopping)
        except (KafkaError, OSError) as error:
            _log.warning("changelog not read at once, left to slower recovery", exc_info=error)
        finally:
            await consumer.stop()


class _Run:
    """One restoring of some partitions."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        databases: DatabasesProtocol,
        changelog: Changelog,
    ) -> None:
        self._consumer = consumer
        self._databases = databases
        self._partitions = changelog.partitions
        self._ends: dict[TopicPartition, int] = {}
        self._records = 0
        self._foreign = 0

    async def execute(self, places: Sequence[TopicPartition], stopping: Callable[[], bool]) -> None:
        began = heard = time.monotonic()
        behind = await self._behind(places)
        restored = sorted(place.partition for place in behind)
        while behind and not stopping() and time.monotonic() - heard < PATIENCE_SECONDS:
            read = await self._consumer.getmany(
                *behind, timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE
            )
            for place, records in read.items():
                heard = time.monotonic()
                self._write(place, records)
                await asyncio.sleep(0)
            behind = [place for place in behind if not await self._reached_end(place)]
        if restored:
            _log.info(
                "table restored from its changelog",
                partitions=restored,
                records=self._records,
                foreign=self._foreign,
                unfinished=sorted(place.partition for place in behind),
                seconds=round(time.monotonic() - began, 2),
            )

    async def _behind(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Seek to where each partition goes on; return those with something to read."""
        self._ends = await self._consumer.end_offsets(places)
        first = await self._consumer.beginning_offsets(places)
        for place in places:
            offset = self._databases.persisted_offset(place)
            if offset is not None and offset >= max(self._ends[place], 1):
                self._outlived(place, offset)
                offset = self._ends[place] - 1
            start = first[place] if offset is None else max(offset + 1, first[place])
            self._consumer.seek(place, start)
        return [p for p in places if await self._consumer.position(p) < self._ends[p]]

    def _outlived(self, place: TopicPartition, offset: int) -> None:
        """Keep the entries of a changelog that was made anew: the reconciler compares them."""
        end = self._ends[place]
        _log.warning(
            "changelog was made anew, entries kept",
            partition=place.partition,
            read_up_to=offset,
            ends_at=end,
        )
        self._databases.set_persisted_offset(place, end - 1)

    async def _reached_end(self, place: TopicPartition) -> bool:
        """Whether all is read; a broker may know only after the first answer where the end is."""
        end = max(self._ends[place], self._consumer.highwater(place) or 0)
        reached: bool = await self._consumer.position(place) >= end
        return reached

    def _write(self, place: TopicPartition, records: Sequence[Any]) -> None:
        batch = WriteBatch(raw_mode=True)
        for record in records:
            self._foreign += not put(batch, record, place.partition, self._partitions)
        self._databases.write(place.partition, batch)
        self._databases.set_persisted_offset(place, records[-1].offset)
        self._records += len(records)


class ChangelogRecord(Protocol):
    """What a record of the changelog is, whoever has read it."""

    @property
    def key(self) -> bytes | None:
        """The key."""

    @property
    def value(self) -> bytes | None:
        """The value, None for a deletion."""


def put(batch: WriteBatch, record: ChangelogRecord, partition: int, partitions: int) -> bool:
    """Put a changelog record of a partition into a batch of writes.

    Returns whether it is a deletion or an entry of this partition and of today's format; whatever
    else stands under its key is deleted.
    """
    key, value = record.key, record.value
    if not key:
        return False
    if value is None:
        batch.delete(key)
        return True
    if readable(key, value) and _placed_here(key, value, partition, partitions):
        batch.put(key, value)
        return True
    batch.delete(key)
    return False


def _placed_here(key: bytes, value: bytes, partition: int, partitions: int) -> bool:
    return partitions_of(value) == partitions or partition_of(id_of(key), partitions) == partition
