"""How the relay's producer fails: for one lane, in one way, and never with a cancellation."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from agents.kafka import producer as publisher_module
from agents.kafka.config import KafkaConfig
from agents.kafka.producer import KafkaEventPublisher
from rules.models import OutboxMessage
from store.protocols.outbox import PublishError


class Batch:
    """Has room for two messages."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, value: bytes, **_options: object) -> object:
        if len(self.values) == 2:
            return None
        self.values.append(value)
        return self

    def close(self) -> None:
        """Take nothing more."""


class Producer:
    """Gives out a future for each batch, for a test to settle."""

    def __init__(self) -> None:
        self.sent: dict[bytes, asyncio.Future[None]] = {}
        self.partitions: list[int] = []
        self.stopped = False
        self.knows_topics = True
        self.seconds_a_batch = 0.0

    async def start(self) -> None:
        self._message_accumulator = type("Accumulator", (), {})()

    async def stop(self) -> None:
        self.stopped = True

    async def partitions_for(self, _topic: str) -> set[int]:
        if not self.knows_topics:
            # As aiokafka's: whoever asks while it is stopped never hears of it.
            await asyncio.get_running_loop().create_future()
        return {0, 1}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(
        self, batch: Batch, _topic: str, *, partition: int
    ) -> "asyncio.Future[None]":
        self.partitions.append(partition)
        await asyncio.sleep(self.seconds_a_batch)
        return self.sent.setdefault(
            b" ".join(batch.values), asyncio.get_running_loop().create_future()
        )


class Publisher(KafkaEventPublisher):
    def __init__(self) -> None:
        super().__init__(KafkaConfig("nowhere:1"))
        self.producers: list[Producer] = []

    def _create(self) -> Any:  # noqa: ANN401  # as the real one's
        self.producers.append(Producer())
        return self.producers[-1]

    async def sent(self, value: bytes) -> "asyncio.Future[None]":
        while not self.producers or value not in self.producers[-1].sent:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return self.producers[-1].sent[value]


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(publisher_module, "PUBLISH_SECONDS", 0.05)
    return Publisher()


def message(value: bytes) -> OutboxMessage:
    return OutboxMessage("topic", b"key", value, ())


async def publishing(publisher: Publisher, value: bytes, lane: int = 0) -> "asyncio.Task[None]":
    task = asyncio.create_task(publisher.publish([message(value)], lane))
    await publisher.sent(value)
    return task


async def test_a_lane_waits_for_what_it_left_on_its_way_and_others_do_not(
    publisher: Publisher,
) -> None:
    with pytest.raises(PublishError):
        await (await publishing(publisher, b"slow"))
    with pytest.raises(PublishError):
        await publisher.publish([message(b"next")])
    assert b"next" not in publisher.producers[0].sent

    other = await publishing(publisher, b"other", lane=1)
    (await publisher.sent(b"other")).set_result(None)
    await other

    (await publisher.sent(b"slow")).set_result(None)
    follower = await publishing(publisher, b"next")
    (await publisher.sent(b"next")).set_result(None)
    await follower


@pytest.mark.parametrize(
    ("error", "replaced"), [(MessageSizeTooLargeError(), True), (KafkaConnectionError(), False)]
)
async def test_a_refusal_gets_a_new_producer(
    publisher: Publisher, error: Exception, *, replaced: bool
) -> None:
    refused = await publishing(publisher, b"refused")
    (await publisher.sent(b"refused")).set_exception(error)
    with pytest.raises(PublishError):
        await refused
    follower = await publishing(publisher, b"next")
    assert len(publisher.producers) == (2 if replaced else 1)
    assert publisher.producers[0].stopped is replaced
    (await publisher.sent(b"next")).set_result(None)
    await follower


async def test_who_waits_for_a_producer_that_is_stopped_meanwhile_goes_on_with_the_next(
    publisher: Publisher,
) -> None:
    refused = await publishing(publisher, b"refused")
    publisher.producers[0].knows_topics = False
    waiting = asyncio.create_task(publisher.publish([message(b"waiting")], lane=1))
    await asyncio.sleep(0)
    (await publisher.sent(b"refused")).set_exception(MessageSizeTooLargeError())
    with pytest.raises(PublishError):
        await refused

    with pytest.raises(PublishError):
        await asyncio.wait_for(waiting, 5)
    again = await publishing(publisher, b"waiting", lane=1)
    (await publisher.sent(b"waiting")).set_result(None)
    await again


async def test_a_producer_that_another_lane_has_had_replaced_costs_no_second_one(
    publisher: Publisher,
) -> None:
    lanes = [await publishing(publisher, b"lane %d" % n, lane=n) for n in range(2)]
    old = publisher.producers[0]
    for number, lane in enumerate(lanes):
        old.sent[b"lane %d" % number].set_exception(MessageSizeTooLargeError())
        with pytest.raises(PublishError):
            await lane
        value = b"after %d" % number
        follower = await publishing(publisher, value, lane=2)
        (await publisher.sent(value)).set_result(None)
        await follower
    assert [producer.stopped for producer in publisher.producers] == [True, False]


async def test_a_slow_broker_gets_all_the_time_that_many_batches_take(
    publisher: Publisher,
) -> None:
    values = [b"%d" % number for number in range(8)]
    (await publishing_slowly(publisher)).seconds_a_batch = publisher_module.PUBLISH_SECONDS / 2
    task = asyncio.create_task(publisher.publish([message(value) for value in values], lane=1))
    for together in (b"0 1", b"2 3", b"4 5", b"6 7"):
        (await publisher.sent(together)).set_result(None)
    await task


async def publishing_slowly(publisher: Publisher) -> Producer:
    first = await publishing(publisher, b"first")
    (await publisher.sent(b"first")).set_result(None)
    await first
    return publisher.producers[0]


async def test_what_a_stopping_producer_cancels_is_a_failure_to_publish(
    publisher: Publisher,
) -> None:
    cut_off = await publishing(publisher, b"cut off")
    (await publisher.sent(b"cut off")).cancel()
    with pytest.raises(PublishError):
        await cut_off


async def test_a_key_keeps_its_partition_and_its_order_over_several_batches(
    publisher: Publisher,
) -> None:
    values = [b"%d" % number for number in range(5)]
    task = asyncio.create_task(publisher.publish([message(value) for value in values]))
    for together in (b"0 1", b"2 3", b"4"):
        (await publisher.sent(together)).set_result(None)
    await task
    assert list(publisher.producers[0].sent) == [b"0 1", b"2 3", b"4"]
    assert len(set(publisher.producers[0].partitions)) == 1


async def test_every_batch_has_to_arrive(publisher: Publisher) -> None:
    task = asyncio.create_task(publisher.publish([message(b"%d" % n) for n in range(3)]))
    (await publisher.sent(b"0 1")).set_exception(KafkaConnectionError())
    (await publisher.sent(b"2")).set_result(None)
    with pytest.raises(PublishError):
        await task


async def test_what_no_request_has_room_for_is_a_failure_to_publish(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "MAX_REQUEST_BYTES", 3)
    with pytest.raises(PublishError):
        await publisher.publish([message(b"long")])
