"""How messages get from Faust's consumer to an agent: in order, in batches, acknowledged once."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust import current_event
from mode.services import Service
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from agents.faust_support.batches import batches, singles
from agents.faust_support.runs import RUN_RECORDS, runs_of
from agents.faust_support.transport import CarefulConsumer
from rules.models import Record

SECONDS = 5


class Stream:
    """As much of a Faust stream as is used."""

    def __init__(self) -> None:
        self.should_stop = False
        self.acked: list[int] = []
        self.active = True
        self.generation = 1
        flow = FlowControlEvent()
        flow.resume()
        self.queue: ThrowableQueue[Any] = ThrowableQueue(flow_control=flow)
        self.channel = SimpleNamespace(queue=self.queue)
        self.app: Any = self

    @property
    def flow_control(self) -> Any:  # noqa: ANN401
        return SimpleNamespace(is_active=lambda: self.active)

    @property
    def consumer_generation_id(self) -> int:
        return self.generation

    async def maybe_start(self) -> None:
        """Be started."""

    def put(self, *offsets: int, generation: int = 1, partition: int = 0) -> None:
        """Put records into the buffer, in runs as they come from the consumer."""
        for run in runs_of([fetched(offset, partition) for offset in offsets]):
            message = SimpleNamespace(
                partition=partition,
                generation_id=generation,
                records=run,
            )
            self.queue.put_nowait(Event(message, functools.partial(self.ack, run[-1].offset)))

    def ack(self, offset: int) -> None:
        self.acked.append(offset)


class Event:
    """As much of a Faust event; it can be referred to weakly."""

    def __init__(self, message: Any, ack: Callable[[], None]) -> None:  # noqa: ANN401
        self.message = message
        self.ack = ack


def fetched(offset: int, partition: int = 0) -> Record:
    return Record("topic", partition, offset, 1, b"key", b"value", ())


async def after(taken: AsyncIterator[list[Record]]) -> list[int]:
    async with asyncio.timeout(SECONDS):
        return [record.offset for record in await anext(taken)]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (RUN_RECORDS, [25]), (RUN_RECORDS + 1, [25, 1]), (3 * RUN_RECORDS, [25, 25, 25])],
)
def test_what_was_fetched_is_split_into_runs_in_its_order(count: int, sizes: list[int]) -> None:
    runs = runs_of([fetched(offset) for offset in range(count)])
    assert [len(run) for run in runs] == sizes
    assert [record.offset for run in runs for record in run] == list(range(count))


async def test_what_waits_is_one_batch_and_what_comes_meanwhile_the_next() -> None:
    stream = Stream()
    taken = batches(stream, 3 * RUN_RECORDS)
    stream.put(*range(2 * RUN_RECORDS))
    stream.put(50)
    stream.put(51)
    assert await after(taken) == list(range(51))
    stream.put(52)
    assert await after(taken) == [51, 52]


async def test_runs_of_single_records_fill_a_batch_as_long_ones_do() -> None:
    """They are short where many partitions get a few messages each between two fetches."""
    stream = Stream()
    for offset in range(3 * RUN_RECORDS):
        stream.put(offset, partition=offset % 16)
    taken = batches(stream, 3 * RUN_RECORDS)
    assert await after(taken) == list(range(2 * RUN_RECORDS + 1))


async def test_a_batch_is_no_larger_than_asked_for() -> None:
    stream = Stream()
    stream.put(*range(4 * RUN_RECORDS))
    taken = batches(stream, 3 * RUN_RECORDS + 1)
    assert await after(taken) == list(range(3 * RUN_RECORDS))
    assert await after(taken) == list(range(3 * RUN_RECORDS, 4 * RUN_RECORDS))


async def test_one_by_one_records_say_in_which_partition_tables_are_written() -> None:
    stream = Stream()
    for partition in (3, 5):
        stream.put(1, 2, partition=partition)
    taken = singles(stream)
    for partition in (3, 3, 5, 5):
        assert (await anext(taken)).partition == partition
        event = current_event()
        assert event is not None
        assert event.message.partition == partition
    assert stream.acked == [2]


async def test_after_a_rebalance_nobody_gets_the_rest_of_a_run_from_before() -> None:
    """Another worker may have the partition: what is written late would undo what it wrote."""
    stream = Stream()
    stream.put(1, 2, 3)
    taken = singles(stream)
    assert (await anext(taken)).offset == 1
    stream.generation = 2
    stream.put(7, 8, generation=2)
    assert [(await anext(taken)).offset for _ in range(2)] == [7, 8]
    assert stream.acked == []


async def test_a_lone_message_waits_for_no_other() -> None:
    stream = Stream()
    waiting = asyncio.create_task(after(batches(stream, 100)))
    await asyncio.sleep(0)
    stream.put(1)
    for _ in range(3):
        await asyncio.sleep(0)
    assert waiting.done()
    assert waiting.result() == [1]


async def test_a_batch_is_acknowledged_when_the_next_is_asked_for() -> None:
    stream = Stream()
    taken = batches(stream, RUN_RECORDS)
    stream.put(1, 2)
    stream.put(3)
    await after(taken)
    assert stream.acked == []
    await after(taken)
    assert stream.acked == [2]


async def test_a_batch_that_outlasts_a_rebalance_is_not_acknowledged() -> None:
    """It is read again; of a topic that was made anew the offset would be another record's."""
    stream = Stream()
    taken = batches(stream, RUN_RECORDS)
    stream.put(1, 2)
    await after(taken)
    stream.generation = 2
    stream.put(3, generation=2)
    await after(taken)
    assert stream.acked == []


async def test_a_batch_whose_work_was_broken_off_is_not_acknowledged() -> None:
    stream = Stream()
    taken = batches(stream, RUN_RECORDS)
    stream.put(1)
    await after(taken)
    with pytest.raises(asyncio.CancelledError):
        await taken.athrow(asyncio.CancelledError)  # type: ignore[attr-defined]
    closed = batches(stream, RUN_RECORDS)
    stream.put(2)
    await after(closed)
    await closed.aclose()  # type: ignore[attr-defined]
    assert stream.acked == []


@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_stop_ends_the_batches_and_leaves_what_waits(waiting: int) -> None:
    stream = Stream()
    stream.put(*range(waiting))
    taken = batches(stream, 10 * RUN_RECORDS)
    stream.queue._throw(StopAsyncIteration())
    assert [batch async for batch in taken] == []
    assert stream.acked == []


async def test_what_was_read_before_a_rebalance_is_left_to_be_read_again() -> None:
    stream = Stream()
    taken = batches(stream, 10 * RUN_RECORDS)
    stream.generation = 2
    stream.put(1, 2)
    stream.put(2, 3, generation=2)
    assert await after(taken) == [2, 3]


# --- handing over to an agent's buffer ---------------------------------------------------------


@pytest.fixture
async def consumer() -> CarefulConsumer:
    made = CarefulConsumer.__new__(CarefulConsumer)
    Service.__init__(made)
    return made


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_what_needs_no_waiting_is_done_at_once(consumer: CarefulConsumer) -> None:
    async def hand_over() -> str:
        return "done"

    before = len(asyncio.all_tasks())
    result = await consumer.wait_first(hand_over(), for_ever())
    assert result.results == ["done"]
    assert len(asyncio.all_tasks()) == before


async def test_what_waits_is_waited_for(consumer: CarefulConsumer) -> None:
    gate = asyncio.Event()
    steps = []

    async def hand_over() -> str:
        steps.append("begun")
        await gate.wait()
        await asyncio.sleep(0)
        steps.append("done")
        return "done"

    asyncio.get_running_loop().call_later(0.01, gate.set)
    result = await consumer.wait_first(hand_over(), for_ever())
    assert steps == ["begun", "done"]
    assert result.results == ["done"]


async def test_a_rebalance_ends_the_waiting(consumer: CarefulConsumer) -> None:
    ended = []

    async def hand_over() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def suspended() -> None:
        await asyncio.sleep(0.01)

    await consumer.wait_first(hand_over(), suspended())
    await asyncio.sleep(0)
    assert ended


@pytest.mark.parametrize("waits", [False, True])
async def test_a_failure_is_passed_on(consumer: CarefulConsumer, *, waits: bool) -> None:
    async def hand_over() -> None:
        if waits:
            await asyncio.sleep(0.001)
        raise LookupError

    with pytest.raises(LookupError):
        await consumer.wait_first(hand_over(), for_ever())
