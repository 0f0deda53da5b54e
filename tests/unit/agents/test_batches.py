"""How messages get from Faust's consumer to an agent: in order, in batches, acknowledged once."""

import asyncio
import functools
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from mode.services import Service
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from agents.faust_support.batches import batches
from agents.faust_support.transport import CarefulConsumer
from rules.models import Record

SECONDS = 5


class Stream:
    """As much of a Faust stream as is used."""

    def __init__(self) -> None:
        self.should_stop = False
        self.acked: list[int] = []
        self.tracked: list[int] = []
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

    @property
    def consumer(self) -> Any:  # noqa: ANN401
        return SimpleNamespace(unacked=self)

    def add(self, message: Any) -> None:  # noqa: ANN401
        self.tracked.append(message.offset)

    async def maybe_start(self) -> None:
        """Be started."""

    def put(self, *offsets: int, generation: int = 1) -> None:
        for offset in offsets:
            message = SimpleNamespace(
                topic="topic",
                partition=0,
                offset=offset,
                timestamp=1.0,
                key=b"key",
                value=b"value",
                headers=None,
                tracked=False,
                generation_id=generation,
            )
            ack = functools.partial(self.acked.append, offset)
            self.queue.put_nowait(SimpleNamespace(message=message, ack=ack))


async def after(taken: AsyncIterator[list[Record]]) -> list[int]:
    async with asyncio.timeout(SECONDS):
        return [record.offset for record in await anext(taken)]


async def test_what_waits_is_one_batch_and_what_comes_meanwhile_the_next() -> None:
    stream = Stream()
    taken = batches(stream, 3)
    stream.put(1, 2, 3, 4)
    assert await after(taken) == [1, 2, 3]
    stream.put(5)
    assert await after(taken) == [4, 5]


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
    taken = batches(stream, 2)
    stream.put(1, 2, 3)
    await after(taken)
    assert (stream.tracked, stream.acked) == ([1, 2], [])
    await after(taken)
    assert stream.acked == [1, 2]


async def test_a_batch_whose_work_was_broken_off_is_not_acknowledged() -> None:
    stream = Stream()
    taken = batches(stream, 2)
    stream.put(1)
    await after(taken)
    with pytest.raises(asyncio.CancelledError):
        await taken.athrow(asyncio.CancelledError)  # type: ignore[attr-defined]
    closed = batches(stream, 2)
    stream.put(2)
    await after(closed)
    await closed.aclose()  # type: ignore[attr-defined]
    assert stream.acked == []


@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_stop_ends_the_batches_and_leaves_what_waits(waiting: int) -> None:
    stream = Stream()
    stream.put(*range(waiting))
    taken = batches(stream, 10)
    stream.queue._throw(StopAsyncIteration())
    assert [batch async for batch in taken] == []
    assert stream.acked == []


async def test_what_was_read_before_a_rebalance_is_left_to_be_read_again() -> None:
    stream = Stream()
    taken = batches(stream, 10)
    stream.generation = 2
    stream.put(1, 2)
    stream.put(2, 3, generation=2)
    assert await after(taken) == [2, 3]
    assert stream.tracked == [2, 3]


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
