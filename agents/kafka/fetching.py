"""Fixes aiokafka's fetcher, which stops at a record batch that it cannot decode, for ever.

The exception also loses the records that other partitions had fetched by then. Here such a batch is
fetched again, while the other partitions go on, and then passed over: one record without content
stands for it. Records also say from where on the log was read up to them, so that the offsets of
compacted records and of transactions' markers are known to be empty without a second look.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer import fetcher as fetcher_module
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords

from agents.kafka.decompression import bound_decompression
from agents.kafka.record_batches import FetchedBatches, UndecodableBatchError
from rules.models import Record, Undecodable
from telemetry.logs import get_logger

#: A batch is passed over after this many fetches, which extend over this many seconds: a broker may
#: have sent it wrongly once.
FETCHES: Final = 3
OVER_SECONDS: Final = 10.0

#: Offsets that a log no longer has: its partition, from where to before where.
OnLost = Callable[[TopicPartition, int, int], None]

_log = get_logger(__name__)


def fetch_carefully() -> None:
    """Make aiokafka's consumers fetch this way from now on."""
    bound_decompression()
    consumer_module.Fetcher = CarefulFetcher
    fetcher_module.MemoryRecords = FetchedBatches
    fetcher_module.PartitionRecords = CarefulRecords


def stable_end(consumer: Any, place: Any) -> int | None:  # noqa: ANN401  # aiokafka has no types
    """Return where a log ended when Kafka last answered, None if it has not.

    Transactions that are still open begin there or later; an old broker does not say where. Raises
    AssertionError for a partition that is not assigned.
    """
    stable: int | None = consumer.last_stable_offset(place)
    highwater: int | None = consumer.highwater(place)
    known = (end for end in (stable, highwater) if end is not None and end >= 0)
    return next(known, None)


@dataclass(slots=True)
class _Failing:
    """A batch that cannot be decoded, since when, and how often it was fetched."""

    base_offset: int
    since: float
    fetches: int = 0


class CarefulFetcher(Fetcher):  # type: ignore[misc]  # aiokafka has no types
    """Counts the fetches of what cannot be decoded, and knows which offsets are empty."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # aiokafka's
        self._failing: dict[TopicPartition, _Failing] = {}
        self._clear: dict[TopicPartition, tuple[int, int]] = {}
        #: The offsets that fetches last asked for; nobody has moved the positions since.
        self._wanted: dict[TopicPartition, int] = {}
        self._told: dict[TopicPartition, int] = {}
        #: Whether records are the service's own, without a detour by aiokafka's.
        self.yields_records = False
        #: Over how long what cannot be decoded is fetched again.
        self.over_seconds = OVER_SECONDS
        #: Is told of offsets that retention has deleted, in the fetcher's thread.
        self.on_lost: OnLost | None = None
        super().__init__(*args, **kwargs)

    def clear_behind(self, place: TopicPartition) -> tuple[int, int] | None:
        """Return the offsets behind the last record that are read and empty: from, to before."""
        return self._clear.get(place)

    def read_to(self, place: TopicPartition, clear_from: int, position: int) -> None:
        """Note that the log holds no records between these."""
        self._clear[place] = clear_from, position

    def clear_from(self, place: TopicPartition, position: int) -> int:
        """Return from where on the log is known to be empty up to a position."""
        begin, end = self._clear.get(place, (position, position))
        return begin if end == position else position

    def state(self, place: TopicPartition) -> Any:  # noqa: ANN401  # aiokafka has no types
        """Return aiokafka's state of an assigned partition, None if it is not assigned."""
        subscription = self._subscriptions.subscription
        assignment = subscription and subscription.assignment
        return assignment and assignment.state_value(place)

    def gives_up(self, place: TopicPartition, base_offset: int) -> bool:
        """Count a fetch of a batch that cannot be decoded; pause its partition or give up."""
        now = time.monotonic()
        failing = self._failing.get(place)
        if failing is None or failing.base_offset != base_offset:
            failing = self._failing[place] = _Failing(base_offset, now)
        failing.fetches += 1
        gives_up = failing.fetches >= FETCHES and now - failing.since >= self.over_seconds
        if not gives_up:
            self._pause(place)
        return gives_up

    def _pause(self, place: TopicPartition) -> None:
        """Stop fetching a partition until the next attempt is due."""
        if state := self.state(place):
            state.pause()
            seconds = self.over_seconds / (FETCHES - 1)
            asyncio.get_running_loop().call_later(seconds, state.resume)

    # --- aiokafka's ------------------------------------------------------------------------------

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:  # noqa: ANN401
        offsets = {
            TopicPartition(topic, partition): offset
            for topic, partitions in request.topics
            for partition, offset, _ in partitions
        }
        self._wanted |= offsets
        try:
            woken: bool = await super()._proc_fetch_request(assignment, node_id, request)
        except asyncio.CancelledError:
            return False  # as aiokafka's, which forgets the pause after an error: `close` raises it
        for place in offsets:
            result = self._records.get(place)
            if isinstance(result, FetchResult):
                result._partition_records.belong_to(self)  # noqa: SLF001  # nothing hands it over
        return woken

    async def _update_fetch_positions(self, assignment: Any, node_id: int, tps: Any) -> bool:  # noqa: ANN401
        states = {place: assignment.state_value(place) for place in tps}
        reset = [place for place, state in states.items() if state.awaiting_reset]
        woken: bool = await super()._update_fetch_positions(assignment, node_id, tps)
        for place in reset:
            self._clear.pop(place, None)
            if states[place].has_valid_position:
                self._report_lost(place, states[place].position)
        return woken

    def request_offset_reset(self, tps: Any, strategy: int) -> Any:  # noqa: ANN401
        """Reset positions; asked for, this loses nothing."""
        for place in tps:
            self._wanted.pop(place, None)
        return super().request_offset_reset(tps, strategy)

    def seek_to(self, tp: TopicPartition, offset: int) -> None:
        """Move a position; asked for, this loses nothing."""
        self._wanted.pop(tp, None)
        super().seek_to(tp, offset)

    def _report_lost(self, place: TopicPartition, begin: int) -> None:
        """Tell of offsets below the log's beginning, once; a log made anew begins below them.

        Faust seeks to what is committed several times at a start.
        """
        wanted = self._wanted.pop(place, None)
        if self.on_lost is None or wanted is None:
            return
        wanted = max(wanted, self._told.get(place, 0))
        if wanted < begin:
            self._told[place] = begin
            self.on_lost(place, wanted, begin)


class CarefulRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """The records of one fetch of a partition."""

    def __init__(self, tp: TopicPartition, records: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self.next_fetch_offset: int
        super().__init__(tp, records, *args, **kwargs)
        self._begins: int = self.next_fetch_offset
        self._clear_from = self._begins
        self._fetcher: CarefulFetcher | None = None

    def belong_to(self, fetcher: CarefulFetcher) -> None:
        """Say whose records these are, before they are read."""
        if self._fetcher is None:
            self._fetcher = fetcher
            self._clear_from = fetcher.clear_from(self._tp, self._begins)

    def __iter__(self) -> Iterator[Any]:
        # aiokafka's `__next__` is a call more for each record.
        return self._records_iterator or iter(())

    def _unpack_records(self) -> Iterator[Any]:
        fetcher = self._fetcher
        if fetcher is None:
            raise AssertionError("records of no fetcher")
        try:
            yield from super()._unpack_records()
        except UndecodableBatchError as error:
            # What follows something readable comes first in the next fetch.
            if self.next_fetch_offset == self._begins:
                yield from self._pass_over(fetcher, error)
        fetcher.read_to(self._tp, self._clear_from, self.next_fetch_offset)

    def _pass_over(self, fetcher: CarefulFetcher, error: UndecodableBatchError) -> Iterator[Record]:
        """Return the record that stands for the batch, or nothing if it is to be fetched again."""
        position = self.next_fetch_offset
        state = fetcher.state(self._tp)
        first, behind = error.extent(position, state.highwater if state else position + 1)
        gives_up = fetcher.gives_up(self._tp, error.header.base_offset if error.header else first)
        _log.warning(
            "record batch passed over" if gives_up else "record batch cannot be decoded",
            topic=self._tp.topic,
            partition=self._tp.partition,
            begin=first,
            end=behind,
            fault=error.fault,
        )
        if gives_up:
            self.next_fetch_offset = behind
            yield self._stand_in(Undecodable(first, error.fault), behind - 1, error)

    def _stand_in(self, batch: Undecodable, offset: int, error: UndecodableBatchError) -> Record:
        timestamp = error.header.timestamp_ms if error.header else 0
        begin = min(self._clear_from, batch.first_offset)
        self._clear_from = offset + 1
        topic, partition = self._tp
        return Record(topic, partition, offset, timestamp, None, None, (), begin, batch)

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:  # noqa: ANN401
        # Not set by `belong_to`: a method that an object keeps of itself keeps all that was fetched
        # until the garbage collector comes.
        if self._fetcher is None or not self._fetcher.yields_records:
            return super()._consumer_record(tp, record)
        offset, headers = record.offset, record.headers
        begin, self._clear_from = self._clear_from, offset + 1
        return Record(
            tp.topic,
            tp.partition,
            offset,
            record.timestamp or 0,
            record.key,
            record.value,
            tuple((name, value or b"") for name, value in headers) if headers else (),
            begin,
        )
