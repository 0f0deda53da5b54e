"""How the relay's producer fails: for one lane, in one way, and never with a cancellation."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.producer.message_accumulator import MessageAccumulator

from agents.kafka import parcels
from agents.kafka.config import KafkaConfig
from agents.kafka.producer import KafkaEventPublisher
from rules.models import OutboxMessage
from store.protocols.outbox import PublishError, Refusal, Unsent

LARGE = b"large"


class Batch:
    """Has room for two messages, or a large one."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, value: bytes, **_options: object) -> object:
        if len(self.values) == 2 or (self.values and value == LARGE):
            return None
        self.values.append(value)
        return self

    def close(self) -> None:
        """Take nothing more."""

    def size(self) -> int:
        return 100 * len(self.values)


class Cluster:
    """Knows how many partitions each topic has: none of a topic that does not exist."""

    def __init__(self) -> None:
        self.partitions: set[int] | None = {0, 1}

    def partitions_for_topic(self, _topic: str) -> set[int] | None:
        return self.partitions

    def leader_for_partition(self, _place: TopicPartition) -> None:
        """Return that of no partition: these batches never leave."""


class Client:
    def __init__(self) -> None:
        self.cluster = Cluster()


class Producer:
    """Gives out a future for each batch, for a test to settle."""

    def __init__(self) -> None:
        self.sent: dict[bytes, asyncio.Future[None]] = {}
        self.partitions: list[int] = []
        self.stopped = False
        self.knows_topics = True
        self.seconds_a_batch = 0.0
        self.client = Client()

    async def start(self) -> None:
        self._message_accumulator = MessageAccumulator(self.client.cluster, 1000, 0, 10)

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
        self.careful: list[Producer] = []

    def _create(self, *, idempotent: bool) -> Any:  # noqa: ANN401  # as the real one's
        made = self.producers if idempotent else self.careful
        made.append(Producer())
        return made[-1]

    async def sent(self, value: bytes) -> "asyncio.Future[None]":
        while not self.producers or value not in self.producers[-1].sent:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return self.producers[-1].sent[value]


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(parcels, "PUBLISH_SECONDS", 0.05)
    return Publisher()


def message(value: bytes) -> OutboxMessage:
    return OutboxMessage("topic", b"key", value, ())


async def publishing(publisher: Publisher, value: bytes, lane: int = 0) -> "asyncio.Task[Unsent]":
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
    ("error", "replaced"),
    [(OutOfOrderSequenceNumber(), True), (KafkaConnectionError(), False)],
)
async def test_an_error_of_the_producer_gets_a_new_one(
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
    assert await refused == {0: Refusal.TOO_LARGE}

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
        assert await lane == {0: Refusal.TOO_LARGE}
        value = b"after %d" % number
        follower = await publishing(publisher, value, lane=2)
        (await publisher.sent(value)).set_result(None)
        await follower
    assert [producer.stopped for producer in publisher.producers] == [True, False]


async def test_a_slow_broker_gets_all_the_time_that_many_batches_take(
    publisher: Publisher,
) -> None:
    values = [b"%d" % number for number in range(8)]
    (await publishing_slowly(publisher)).seconds_a_batch = parcels.PUBLISH_SECONDS / 2
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
    with pytest.raises(PublishError):
        await task
    # What follows in its partition does not overtake it.
    assert list(publisher.producers[0].sent) == [b"0 1"]


# --- what can no longer go where it was to go ----------------------------------------------------


class Queueing(Producer):
    """Keeps batches until its sender looks for those that it can send, as aiokafka's does."""

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> "asyncio.Future[None]":
        place = TopicPartition(topic, partition)
        sent = await self._message_accumulator.add_batch(batch, place, 1)
        return self.sent.setdefault(b" ".join(batch.values), sent)

    def look(self) -> None:
        self._message_accumulator.drain_by_nodes(ignore_nodes=())


class Queued(Publisher):
    def _create(self, *, idempotent: bool) -> Any:  # noqa: ANN401
        assert idempotent
        self.producers.append(Queueing() if not self.producers else Producer())
        return self.producers[-1]


@pytest.mark.parametrize(
    ("partitions", "let_go"),
    [({0}, True), ({0, 1}, False), (None, False)],
    ids=["fewer partitions", "no leader", "no topic"],
)
async def test_a_batch_is_let_go_once_its_topic_has_no_such_partition(
    monkeypatch: pytest.MonkeyPatch, partitions: set[int] | None, *, let_go: bool
) -> None:
    monkeypatch.setattr(parcels, "PUBLISH_SECONDS", 0.05)
    monkeypatch.setattr(parcels, "partition_for", lambda _key, known: max(known))
    publisher = Queued()
    stuck = await publishing(publisher, b"stuck")
    producer = publisher.producers[0]
    assert isinstance(producer, Queueing)
    producer.look()
    assert not producer.sent[b"stuck"].done()

    producer.client.cluster.partitions = partitions
    with pytest.raises(PublishError):
        await stuck
    producer.look()
    await asyncio.sleep(0)
    assert producer.sent[b"stuck"].done() is let_go

    with pytest.raises(PublishError):
        await publisher.publish([message(b"again")])
    if let_go:
        again = asyncio.create_task(publisher.publish([message(b"again")]))
        await publisher.sent(b"again")
        again.cancel()
    else:
        assert b"again" not in producer.sent


# --- what the broker refuses for good ------------------------------------------------------------


def keyed(*keyed_values: tuple[bytes | None, bytes]) -> list[OutboxMessage]:
    """Return messages, all of them of one partition whatever their keys."""
    return [OutboxMessage("topic", key, value, ()) for key, value in keyed_values]


class OnePartition(Publisher):
    """Has a broker with one partition, which refuses some values."""

    def __init__(self, *refused: bytes, error: Exception | None = None) -> None:
        super().__init__()
        self.refused = refused
        self.error = error or MessageSizeTooLargeError()
        self.log: list[bytes] = []

    def _create(self, *, idempotent: bool) -> Any:  # noqa: ANN401
        made = super()._create(idempotent=idempotent)
        made.partitions_for = self._one_partition
        made.send_batch = self._take
        return made

    async def _one_partition(self, _topic: str) -> set[int]:
        return {0}

    def refuses(self, values: Sequence[bytes]) -> bool:
        return bool(set(values) & set(self.refused))

    async def _take(self, batch: Batch, _topic: str, *, partition: int) -> "asyncio.Future[None]":
        assert partition == 0
        future = asyncio.get_running_loop().create_future()
        if self.refuses(batch.values):
            future.set_exception(self.error)
        else:
            self.log += batch.values
            future.set_result(None)
        return future


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MessageSizeTooLargeError(), Refusal.TOO_LARGE),
        (RecordListTooLargeError(), Refusal.TOO_LARGE),
        (for_code(87)(), Refusal.INVALID),
    ],
)
async def test_the_refused_message_is_found_and_all_others_of_the_batch_are_sent(
    error: Exception, reason: Refusal
) -> None:
    publisher = OnePartition(b"2", error=error)
    messages = keyed((b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"d", b"4"))
    assert await publisher.publish(messages) == {1: reason}
    assert sorted(publisher.log) == [b"1", b"3", b"4"]
    await asyncio.sleep(0)
    assert [careful.stopped for careful in publisher.careful] == [True]


@pytest.mark.parametrize(
    "error",
    [
        UnknownTopicOrPartitionError(),
        TopicAuthorizationFailedError(),
        InvalidTimestampError(),
        NotEnoughReplicasError(),
        OutOfOrderSequenceNumber(),
        UnknownError(),
    ],
)
async def test_a_state_that_people_mend_refuses_nothing_for_good(error: Exception) -> None:
    publisher = OnePartition(b"1", error=error)
    with pytest.raises(PublishError):
        await publisher.publish(keyed((b"a", b"1")))
    assert publisher.careful == []


async def test_later_messages_of_the_refused_key_wait_and_no_others() -> None:
    publisher = OnePartition(b"2")
    messages = keyed(
        (b"a", b"1"), (b"a", b"2"), (b"b", b"3"), (b"a", b"4"), (b"b", b"5"), (b"a", b"6")
    )
    messages.append(OutboxMessage("other topic", b"a", b"7", ()))
    assert await publisher.publish(messages) == {1: Refusal.TOO_LARGE, 3: None, 5: None}
    assert [value for value in publisher.log if value != b"7"] == [b"1", b"3", b"5"]
    assert b"7" in publisher.log


async def test_nothing_waits_for_a_refused_message_without_a_key() -> None:
    publisher = OnePartition(b"1", b"3")
    messages = keyed((None, b"1"), (None, b"2"), (None, b"3"), (b"", b"4"))
    assert await publisher.publish(messages) == {0: Refusal.TOO_LARGE, 2: Refusal.TOO_LARGE}
    assert publisher.log == [b"2", b"4"]


async def test_what_no_request_has_room_for_is_refused_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parcels, "MAX_REQUEST_BYTES", 5)
    publisher = OnePartition()
    messages = keyed((b"a", b"1"), (b"a", LARGE), (b"a", b"2"), (b"b", b"3"))
    assert await publisher.publish(messages) == {1: Refusal.TOO_LARGE, 2: None}
    assert publisher.log == [b"1", b"3"]


class Narrow(OnePartition):
    """Takes batches of one message alone."""

    def refuses(self, values: Sequence[bytes]) -> bool:
        return len(values) > 1


async def test_a_topic_that_takes_less_gets_smaller_batches_and_loses_nothing() -> None:
    publisher = Narrow()
    whole = [message(b"%d" % number) for number in range(2)]
    assert await publisher.publish(whole) == {}
    assert publisher.log == [b"0", b"1"]
    made = len(publisher.producers) + len(publisher.careful)
    assert await publisher.publish(whole) == {}
    assert publisher.log == [b"0", b"1"] * 2
    # No batch is refused any more: only the producer that was replaced is made anew.
    assert len(publisher.producers) + len(publisher.careful) == made + 1


async def test_a_topic_gets_large_batches_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parcels, "LIMIT_SECONDS", 0.0)
    publisher = Narrow()
    whole = [message(b"%d" % number) for number in range(2)]
    for _ in range(2):
        assert await publisher.publish(whole) == {}
    assert publisher.log == [b"0", b"1"] * 2
    assert len(publisher.careful) == 2


class GoneInTheSearch(OnePartition):
    def refuses(self, values: Sequence[bytes]) -> bool:
        if self.careful:
            raise KafkaConnectionError
        return super().refuses(values)


async def test_a_broker_that_goes_away_in_the_search_leaves_everything_in_the_outbox() -> None:
    with pytest.raises(PublishError):
        await GoneInTheSearch(b"1").publish(keyed((b"a", b"1"), (b"b", b"2")))
