"""When a stretch of a log has been read to its end."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents.kafka.log_reader import LogReader, ReaderConfig, Reading

pytestmark = pytest.mark.simulated_time

ONE: Final = TopicPartition("topic", 0)
OTHER: Final = TopicPartition("topic", 1)
CONFIG: Final = ReaderConfig("client", max_records=2, patience_seconds=0.2)


class Consumer:
    """Logs by their offsets; says where one ends only with the answer to a fetch."""

    def __init__(self, logs: Mapping[TopicPartition, Sequence[int]]) -> None:
        self.logs = {place: list(offsets) for place, offsets in logs.items()}
        self.at: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.stable: dict[TopicPartition, int] = {}
        self.finished: set[TopicPartition] = set()
        self.held: set[TopicPartition] = set()
        self.silent = False

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self.at = dict.fromkeys(places, 0)
        self.ends.clear()

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    def pause(self, *places: TopicPartition) -> None:
        self.finished.update(places)

    def paused(self) -> set[TopicPartition]:
        return self.finished | self.held

    def highwater(self, place: TopicPartition) -> int | None:
        return self.ends.get(place)

    def last_stable_offset(self, place: TopicPartition) -> int | None:
        return self.stable.get(place, self.ends.get(place))

    async def position(self, place: TopicPartition) -> int:
        return self.at[place]

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        assert not self.finished & set(places)
        if self.silent:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        fetched = {}
        for place in places:
            log = self.logs[place]
            self.ends[place] = max(log, default=-1) + 1
            offsets = [offset for offset in log if offset >= self.at[place]][:max_records]
            self.at[place] = offsets[-1] + 1 if offsets else self.ends[place]
            fetched[place] = [SimpleNamespace(offset=offset) for offset in offsets]
        return fetched


async def everything(reading: Reading) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while reading.unread:
        for place, messages in (await reading.poll()).items():
            found += [(place.partition, message.offset) for message in messages]
    return found


def reading(
    consumer: Consumer, stretches: Mapping[TopicPartition, tuple[int, int | None]]
) -> Reading:
    return LogReader(consumer, CONFIG).read(stretches)


async def test_several_logs_are_read_to_where_they_end() -> None:
    consumer = Consumer({ONE: range(5), OTHER: []})
    found = await everything(reading(consumer, {ONE: (1, None), OTHER: (0, None)}))
    assert found == [(0, n) for n in range(1, 5)]
    assert consumer.finished == {ONE, OTHER}


async def test_what_comes_while_a_log_is_read_is_not_waited_for() -> None:
    consumer = Consumer({ONE: range(4)})
    reads = reading(consumer, {ONE: (0, None)})
    await reads.poll()
    consumer.logs[ONE] += [4, 5, 6]
    assert await everything(reads) == [(0, 2), (0, 3)]


@pytest.mark.parametrize(
    ("log", "end", "expected"),
    [
        (range(10), 3, [0, 1, 2]),
        ([0, 1, 7, 8], 5, [0, 1]),
        ([0, 1], 5, [0, 1]),
        ([], 5, []),
        ([7], 5, []),
    ],
)
async def test_a_stretch_ends_before_its_end_or_with_the_log(
    log: Sequence[int], end: int, expected: list[int]
) -> None:
    found = await everything(reading(Consumer({ONE: log}), {ONE: (0, end)}))
    assert [offset for _, offset in found] == expected


async def test_what_an_open_transaction_wrote_is_not_waited_for() -> None:
    consumer = Consumer({ONE: range(5)})
    consumer.stable = {ONE: 3}
    assert await everything(reading(consumer, {ONE: (1, None)})) == [(0, 1), (0, 2)]


async def test_waiting_for_another_fetch_of_a_broken_batch_is_no_silence() -> None:
    consumer = Consumer({ONE: range(2)})
    consumer.silent, consumer.held = True, {ONE}
    config = ReaderConfig("client", patience_seconds=0.5)
    waiting = LogReader(consumer, config).read({ONE: (0, None)})
    for _ in range(4):
        assert await waiting.poll() == {}
    consumer.silent, consumer.held = False, set()
    assert await everything(waiting) == [(0, 0), (0, 1)]


async def test_silence_is_trouble_once_patience_is_at_its_end() -> None:
    consumer = Consumer({ONE: range(3)})
    reads = reading(consumer, {ONE: (0, None)})
    await reads.poll()
    await asyncio.sleep(0.3)  # what is done with the messages is no silence
    consumer.silent = True
    with pytest.raises(TimeoutError):
        await everything(reads)
    assert reads.unread == {ONE}


async def test_kafkas_errors_are_os_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_places: object, **_options: object) -> None:
        raise KafkaConnectionError("away")

    consumer = Consumer({ONE: range(3)})
    monkeypatch.setattr(consumer, "getmany", refuse)
    with pytest.raises(OSError, match="away"):
        await reading(consumer, {ONE: (0, None)}).poll()
