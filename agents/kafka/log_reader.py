"""Reads stretches of logs as a consumer without a group: no commits, no assigned partitions."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from agents.kafka.fetching import OVER_SECONDS, CarefulFetcher, fetch_carefully, stable_end
from rules.models import Record

POLL_MS: Final = 200
#: The embedded broker answers a waiting fetch only after half of this time.
FETCH_WAIT_MS: Final = 100

#: From an offset to before another, per partition; None is where the log ends now.
Stretches: TypeAlias = Mapping[TopicPartition, tuple[int, int | None]]


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """How a log is read; after `patience_seconds` of silence Kafka counts as away.

    What cannot be decoded is passed over after `over_seconds`, as agents.kafka.fetching says.
    """

    client_id: str
    max_records: int = 100
    fetch_bytes: int = MAX_MESSAGE_BYTES
    patience_seconds: float | None = None
    over_seconds: float = OVER_SECONDS


class LogReader:
    """A connected consumer. Kafka's errors are raised as OSError."""

    def __init__(self, consumer: AIOKafkaConsumer, config: ReaderConfig) -> None:
        self._consumer = consumer
        self._config = config

    async def bounds(
        self, partitions: Iterable[tuple[str, int]]
    ) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return where each log begins and ends; the embedded broker may give too low an end.

        As everywhere, an end is what no open transaction has written behind.
        """
        places = [TopicPartition(*partition) for partition in partitions]
        self._consumer.assign(places)
        with _os_errors():
            ends = await self._consumer.end_offsets(places)
            begins = await self._consumer.beginning_offsets(places)
        return {place: (begins[place], ends[place]) for place in places}

    async def since(self, partitions: Iterable[TopicPartition], at: datetime) -> Stretches:
        """Return what was written at an instant or later, by Kafka's timestamps."""
        milliseconds = max(int(at.timestamp() * 1000), 0)
        places = list(partitions)
        self._consumer.assign(places)
        self._consumer.pause(*places)  # nothing is read before it is known from where on
        with _os_errors():
            found = await self._consumer.offsets_for_times(dict.fromkeys(places, milliseconds))
        # Where there is nothing the embedded broker answers with offset 0, and no time.
        known = {place: first for place, first in found.items() if first and first.timestamp >= 0}
        return {place: (first.offset, None) for place, first in known.items()}

    def read(self, stretches: Stretches) -> "Reading":
        """Start to read these stretches, and no others."""
        return Reading(self._consumer, self._config, stretches)


class Reading:
    """Reads stretches to their ends."""

    def __init__(
        self, consumer: AIOKafkaConsumer, config: ReaderConfig, stretches: Stretches
    ) -> None:
        self.unread = set(stretches)
        self._consumer = consumer
        self._config = config
        self._stretches = stretches
        self._ends: dict[TopicPartition, int] = {}
        self._silent_seconds = 0.0
        consumer.assign(list(stretches))
        for place, (begin, _) in stretches.items():
            consumer.seek(place, begin)

    async def poll(self) -> Mapping[TopicPartition, list[Record]]:
        """Return the next records, or none after a while. Raises TimeoutError, OSError."""
        clock = asyncio.get_running_loop().time
        began, patience = clock(), self._config.patience_seconds
        with _os_errors():
            async with asyncio.timeout(patience and patience - self._silent_seconds):
                fetched = await self._fetch()
                finished = {place for place in self.unread if await self._is_read(place)}
        self.unread -= finished
        if finished:
            self._consumer.pause(*finished)
        # A partition is paused until what could not be decoded is fetched again.
        heard = fetched or finished or self._consumer.paused() & self.unread
        self._silent_seconds = 0.0 if heard else self._silent_seconds + clock() - began
        return fetched

    async def _fetch(self) -> Mapping[TopicPartition, list[Record]]:
        fetched = await self._consumer.getmany(
            *self.unread, timeout_ms=POLL_MS, max_records=self._config.max_records
        )
        below = {place: self._below_end(place, records) for place, records in fetched.items()}
        return {place: records for place, records in below.items() if records}

    def _below_end(self, place: TopicPartition, records: list[Record]) -> list[Record]:
        end = self._end(place)
        if records and records[-1].offset < end:
            return records
        return [record for record in records if record.offset < end]

    async def _is_read(self, place: TopicPartition) -> bool:
        """Whether a stretch is finished.

        The position also moves past compacted records and the markers of transactions. A log that
        was recreated and ends before the stretch has nothing of it.
        """
        known = stable_end(self._consumer, place)
        if known is None:
            return False
        begin, _ = self._stretches[place]
        end = min(self._end(place), known)
        return begin >= end or bool(await self._consumer.position(place) >= end)

    def _end(self, place: TopicPartition) -> int:
        """Return the offset before which to stop: records written meanwhile are left out.

        Only the answer to a fetch gives the true end of a log: asked for it, the embedded broker
        returns too low an offset.
        """
        if place not in self._ends:
            _, end = self._stretches[place]
            known = stable_end(self._consumer, place) or 0
            self._ends[place] = known if end is None else end
        return self._ends[place]


@asynccontextmanager
async def log_reader(kafka: KafkaConfig, config: ReaderConfig) -> AsyncIterator[LogReader]:
    """Connect. Raises OSError."""
    fetch_carefully()
    consumer = AIOKafkaConsumer(
        **kafka.client_options(),
        client_id=config.client_id,
        enable_auto_commit=False,
        # Retention moves the beginning of a log.
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=config.fetch_bytes,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    try:
        with _os_errors():
            await consumer.start()
        fetcher: CarefulFetcher = consumer._fetcher  # noqa: SLF001  # has no accessor
        fetcher.yields_records = True
        fetcher.over_seconds = config.over_seconds
        yield LogReader(consumer, config)
    finally:
        with _os_errors():
            await consumer.stop()


@contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
