"""What aiokafka's fetcher does with batches that cannot be decoded, gaps, and lost offsets."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from agents.kafka import fetching
from agents.kafka.fetching import FETCHES, CarefulFetcher, CarefulRecords, fetch_carefully
from rules.models import Record
from tests.support.raw_batches import at_offset, batch, broken

ONE: Final = TopicPartition("topic", 0)
OTHER: Final = TopicPartition("topic", 1)
RETRY_SECONDS: Final = 0.02


class Broker:
    """Logs of batches; answers fetches like Kafka's client for aiokafka's fetcher."""

    _metadata_max_age_ms = 1000

    def __init__(self) -> None:
        self.batches: dict[TopicPartition, list[tuple[int, int, bytes]]] = {ONE: [], OTHER: []}
        self.begins = {ONE: 0, OTHER: 0}
        self.fetches: list[tuple[int, int]] = []
        self.cluster = SimpleNamespace(
            leader_for_partition=lambda _place: 0, broker_metadata=lambda _node: None
        )

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def write(self, place: TopicPartition, data: bytearray, records: int = 1) -> None:
        offset = self.end(place)
        end = offset + records
        self.batches[place].append((offset, end, bytes(at_offset(data, offset))))

    def skip(self, place: TopicPartition, offsets: int) -> None:
        """Leave a gap, as compaction does."""
        end = self.end(place)
        self.batches[place].append((end, end + offsets, b""))

    def end(self, place: TopicPartition) -> int:
        log = self.batches[place]
        return log[-1][1] if log else 0

    async def send(self, _node: int, request: Any) -> Any:  # noqa: ANN401  # aiokafka's
        await asyncio.sleep(0.001)
        if hasattr(request, "topics"):
            return self.fetched(request)
        answers = [
            (topic, [(partition, 0, 0, self.begins[TopicPartition(topic, partition)])])
            for topic, places in request._topics
            for partition, _ in places
        ]
        return SimpleNamespace(API_VERSION=1, topics=answers)

    def fetched(self, request: Any) -> Any:  # noqa: ANN401
        topics = []
        for topic, places in request.topics:
            answers: list[tuple[Any, ...]] = []
            for partition, offset, _ in places:
                self.fetches.append((partition, offset))
                place = TopicPartition(topic, partition)
                end, begin = self.end(place), self.begins[place]
                error = 0 if begin <= offset else OffsetOutOfRangeError.errno
                wanted = [data for _, last, data in self.batches[place] if last > offset]
                answers.append((partition, error, end, end, [], b"".join(wanted)))
            topics.append((topic, answers))
        return SimpleNamespace(API_VERSION=4, topics=topics)


class Reader:
    """The fetcher as aiokafka's consumer uses it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.lost: list[tuple[TopicPartition, int, int]] = []
        self.subscription = SubscriptionState()
        self.subscription.assign_from_user({ONE, OTHER})
        self.fetcher = CarefulFetcher(
            broker,
            self.subscription,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        self.fetcher.yields_records = True
        self.fetcher.on_lost = lambda *lost: self.lost.append(lost)
        for place in (ONE, OTHER):
            self.fetcher.seek_to(place, 0)

    async def read(self, enough: Callable[[list[Record]], bool]) -> list[Record]:
        found: list[Record] = []
        async with asyncio.timeout(60):
            while not enough(found):
                fetched = await self.fetcher.fetched_records((), timeout=0.01)
                found += [one for some in fetched.values() for one in some]
        return found


@pytest.fixture
async def reader(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    fetch_carefully()
    monkeypatch.setattr(fetching, "OVER_SECONDS", RETRY_SECONDS)
    reader = Reader(Broker())
    yield reader
    await reader.fetcher.close()


def offsets(records: list[Record], place: TopicPartition = ONE) -> list[int]:
    return [record.offset for record in records if record.partition == place.partition]


async def test_a_batch_is_passed_over_after_three_fetches_and_reading_goes_on(
    reader: Reader,
) -> None:
    reader.broker.write(ONE, batch(b"a", b"b"), 2)
    reader.broker.write(ONE, broken("checksum"), 3)
    reader.broker.write(ONE, batch(b"c"))
    found = await reader.read(lambda found: 5 in offsets(found))
    assert offsets(found) == [0, 1, 4, 5]
    stands_for = found[2]
    assert (stands_for.key, stands_for.value, stands_for.begin) == (None, None, 2)
    assert stands_for.undecodable is not None
    assert stands_for.undecodable.first_offset == 2
    assert [record.undecodable for record in found if record is not stands_for] == [None] * 3
    assert reader.broker.fetches.count((0, 2)) >= FETCHES


async def test_what_is_read_at_last_is_not_passed_over(reader: Reader) -> None:
    """As where a replica was damaged, and another one becomes the leader."""
    reader.broker.write(ONE, broken("checksum"), 3)
    await reader.read(lambda _: reader.broker.fetches.count((0, 0)) == FETCHES - 1)
    reader.broker.batches[ONE] = []
    reader.broker.write(ONE, batch(b"a", b"b", b"c"), 3)
    found = await reader.read(lambda found: len(found) == 3)
    assert [record.value for record in found] == [b"a", b"b", b"c"]


async def test_other_partitions_lose_nothing_and_do_not_wait(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "OVER_SECONDS", 3600.0)
    for _ in range(5):
        reader.broker.write(ONE, broken("payload", codec=4), 3)
        reader.broker.write(OTHER, batch(b"value"))
    found = await reader.read(lambda found: len(offsets(found, OTHER)) == 5)
    reader.broker.write(OTHER, batch(b"value"))
    found += await reader.read(lambda found: len(found) == 1)
    assert offsets(found) == []
    assert offsets(found, OTHER) == [0, 1, 2, 3, 4, 5]


async def test_each_of_several_batches_is_fetched_three_times(reader: Reader) -> None:
    for _ in range(2):
        reader.broker.write(ONE, broken("checksum"), 3)
    found = await reader.read(lambda found: len(found) == 2)
    assert [(record.begin, record.offset) for record in found] == [(0, 2), (3, 5)]
    assert reader.broker.fetches.count((0, 3)) >= FETCHES


async def test_a_gap_is_known_to_be_empty_where_the_log_was_read_across_it(reader: Reader) -> None:
    reader.broker.write(ONE, batch(b"a"))
    await reader.read(lambda found: offsets(found) == [0])
    reader.broker.skip(ONE, 4)
    reader.broker.write(ONE, batch(b"b"))
    (after,) = await reader.read(lambda found: offsets(found) == [5])
    assert after.begin == 1
    reader.fetcher.seek_to(ONE, 5)
    (again,) = await reader.read(lambda found: offsets(found) == [5])
    assert again.begin == 5


async def test_it_ends_while_it_waits_for_a_broker_that_is_away(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aiokafka waits so long before it asks again, and took a cancellation then for an error.
    monkeypatch.setattr(reader.fetcher, "_retry_backoff", 3600)
    asked = asyncio.Event()

    async def send(_node: int, _request: object) -> None:
        asked.set()
        raise KafkaConnectionError

    monkeypatch.setattr(reader.broker, "send", send)
    await asked.wait()
    await asyncio.sleep(0)
    await reader.fetcher.close()


async def test_offsets_that_retention_deleted_are_told_once(reader: Reader) -> None:
    reader.broker.skip(ONE, 7)
    reader.broker.begins[ONE] = 7
    reader.broker.write(ONE, batch(b"a"))
    reader.fetcher.seek_to(ONE, 3)
    assert offsets(await reader.read(lambda found: len(found) == 1)) == [7]
    reader.fetcher.seek_to(ONE, 3)
    await reader.read(lambda found: len(found) == 1)
    assert reader.lost == [(ONE, 3, 7)]
    # What is asked for is no loss.
    reader.fetcher.request_offset_reset([ONE], OffsetResetStrategy.EARLIEST)
    await reader.read(lambda found: len(found) == 1)
    assert reader.lost == [(ONE, 3, 7)]


async def test_what_was_read_is_freed_at_once(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes of messages would else wait for the garbage collector, which comes rarely."""
    fetched: list[weakref.ref[CarefulRecords]] = []
    belong_to = CarefulRecords.belong_to

    def watched(records: CarefulRecords, fetcher: CarefulFetcher) -> None:
        fetched.append(weakref.ref(records))
        belong_to(records, fetcher)

    monkeypatch.setattr(CarefulRecords, "belong_to", watched)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            reader.broker.write(ONE, batch(b"value"))
            await reader.read(lambda found: len(found) == 1)
        assert [records() for records in fetched[:2]] == [None, None]
    finally:
        gc.enable()
