"""What Faust's consumer would lose at a rebalance."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from agents.faust_support.runs import Run
from agents.faust_support.transport import CarefulConsumer, CarefulConsumerThread
from rules.models import Record, Undecodable

STREAM = TP("stream", 0)
OTHER = TP("stream", 1)
TABLE = TP("app-table-changelog", 0)


class Thread:
    """The part of Faust's thread that seeks; knows what is committed."""

    def __init__(self, committed: Mapping[TP, int | None]) -> None:
        self.committed = committed
        self.begun: list[TP] = []

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        return self.committed

    async def seek_to_beginning(self, *tps: TP) -> None:
        self.begun += tps


class Fetcher:
    """aiokafka's fetcher with records that were fetched before."""

    _closed = False

    def __init__(self, records: dict[TP, list[Any]]) -> None:
        self._subscriptions = SimpleNamespace(fetch_context=nullcontext)
        self._records = records

    async def fetched_records(self, *_args: object, **_options: object) -> dict[TP, list[Any]]:
        return self._records


def consumer_of(committed: Mapping[TP, int | None]) -> Any:  # noqa: ANN401  # with its fakes
    """Make a consumer whose partitions are all assigned, and none of them read."""
    consumer: Any = object.__new__(CarefulConsumer)
    tables = SimpleNamespace(changelog_topics={TABLE.topic})
    consumer.app = SimpleNamespace(tables=tables, in_recovery=False)
    consumer._thread = Thread(committed)
    consumer._held_back = set()
    consumer._active_partitions = set()
    consumer._paused_partitions = {STREAM, OTHER, TABLE}
    consumer._buffered_partitions = set()
    consumer.can_resume_flow = asyncio.Event()
    consumer.suspend_flow = asyncio.Event()
    consumer.flow_active = False
    return consumer


@pytest.mark.parametrize(
    ("state", "held"),
    [(None, False), (SimpleNamespace(paused=False), False), (SimpleNamespace(paused=True), True)],
)
def test_a_partition_that_was_revoked_meanwhile_is_not_held_back(
    state: object,
    held: bool,  # noqa: FBT001
) -> None:
    def paused() -> None:
        raise AssertionError  # as aiokafka, which walks an assignment that its thread changes

    states = {STREAM: state}
    aiokafka = SimpleNamespace(paused=paused)
    consumer = consumer_of({})
    consumer._thread.fetcher = SimpleNamespace(state=states.get)
    consumer._thread._ensure_consumer = lambda: aiokafka
    assert consumer.held_back(STREAM) is held


@pytest.mark.parametrize("nothing", [None, 0])
async def test_a_partition_without_a_commit_goes_back_to_its_beginning(nothing: int | None) -> None:
    consumer = consumer_of({STREAM: nothing, OTHER: 5, TABLE: None})
    assert await consumer.seek_to_committed() == {STREAM: nothing, OTHER: 5, TABLE: None}
    assert consumer._thread.begun == [STREAM]


async def test_nothing_is_sought_where_everything_is_committed() -> None:
    consumer = consumer_of({OTHER: 5, TABLE: None})
    await consumer.seek_to_committed()
    assert consumer._thread.begun == []


def test_streams_are_read_only_once_the_flow_is_resumed() -> None:
    consumer = consumer_of({})
    consumer.resume_flow()
    consumer.resume_partitions({STREAM, OTHER, TABLE})
    assert consumer._active_partitions == {TABLE}
    consumer.resume_flow()
    assert consumer._active_partitions == {STREAM, OTHER, TABLE}
    assert consumer._paused_partitions == set()


def test_a_rebalance_takes_back_what_is_held() -> None:
    consumer = consumer_of({})
    consumer.resume_partitions({STREAM, OTHER})
    consumer.pause_partitions({STREAM})
    consumer.resume_flow()
    assert consumer._active_partitions == {OTHER}


async def test_what_was_fetched_unasked_is_put_back() -> None:
    consumer = consumer_of({})
    consumer.flow_active = True
    consumer._active_partitions = {OTHER}
    thread: Any = object.__new__(CarefulConsumerThread)
    thread.consumer = consumer
    records = {tp: [SimpleNamespace(offset=n) for n in (7, 8)] for tp in (STREAM, OTHER, TABLE)}
    sought: dict[TP, int] = {}
    kafka = SimpleNamespace(_fetcher=Fetcher(records), _closed=False, seek=sought.__setitem__)
    thread.app = consumer.app
    fetched = await thread._fetch_records(kafka, set())
    assert fetched == {OTHER: [records[OTHER]], TABLE: records[TABLE]}
    assert sought == {STREAM: 7}


async def test_what_waits_for_room_in_its_agents_buffer_is_kept() -> None:
    consumer = consumer_of({})
    consumer._buffered_partitions = {STREAM}
    assert consumer.wants(STREAM)
    assert not consumer.wants(OTHER)


def test_a_partition_is_committed_behind_what_was_acknowledged_last_whatever_its_gaps() -> None:
    consumer = consumer_of({})
    consumer._acked = defaultdict(list, {STREAM: [0, 7, 25], TABLE: []})
    consumer._acked_index = defaultdict(set, {STREAM: {0, 7, 25}})
    consumer._committed_offset = defaultdict(lambda: None)
    assert consumer._filter_committable_offsets([STREAM, OTHER, TABLE]) == {STREAM: 26}
    consumer._committed_offset[STREAM] = 26
    assert consumer._filter_committable_offsets([STREAM]) == {}
    consumer._acked[STREAM] = [30]
    assert consumer._filter_committable_offsets([STREAM]) == {STREAM: 31}


@pytest.mark.parametrize("batch", [None, Undecodable(3, "damaged")])
def test_a_record_of_a_table_stays_one_and_says_what_could_not_be_decoded(
    batch: Undecodable | None,
) -> None:
    consumer = consumer_of({})
    consumer.app.consumer_generation_id = 4
    record = Record(TABLE.topic, TABLE.partition, 5, 2_500, b"key", b"value", (), 3, batch)
    message = consumer._to_message(TABLE, record)
    assert (message.tp, message.offset, message.timestamp) == (TABLE, 5, 2.5)
    assert (message.key, message.value, message.undecodable) == (b"key", b"value", batch)
    assert message.generation_id == 4


def test_a_run_stands_at_its_last_offset() -> None:
    consumer = consumer_of({})
    consumer.app.consumer_generation_id = 4
    run = Run(Record(*STREAM, n, 0, None, None, ()) for n in (5, 6, 9))
    message = consumer._to_message(STREAM, run)
    assert (message.offset, message.records) == (9, run)
