"""How the relay's producer fails: for one partition, in one way, and never with a cancellation."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
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

from agents.kafka import destination, parcels, producers
from agents.kafka.config import KafkaConfig
from agents.kafka.producer import KafkaEventPublisher
from rules.models import OutboxMessage
from store.protocols.outbox import NotArrivedError, Refusal, Unsent

pytestmark = pytest.mark.simulated_time

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
    """Knows the partitions of each topic, but of some."""

    def __init__(self) -> None:
        self.partitions: set[int] | None = {0, 1}
        self.missing: set[str] = set()

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return None if topic in self.missing else self.partitions


class Client:
    def __init__(self) -> None:
        self.cluster = Cluster()


class Producer:
    """Gives out a future for each batch, for a test to settle."""

    def __init__(self) -> None:
        self.sent: dict[bytes, asyncio.Future[None]] = {}
        self.partitions: list[int] = []
        self.stops = 0
        self.seconds_a_batch = 0.0
        self.client = Client()

    async def start(self) -> None:
        self._message_accumulator = MessageAccumulator(self.client.cluster, 1000, 0, 10)

    async def stop(self) -> None:
        self.stops += 1

    async def partitions_for(self, _topic: str) -> set[int]:
        """Wait for good, as aiokafka's does for a client that has been closed."""
        await asyncio.get_running_loop().create_future()
        return set()

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
        async with asyncio.timeout(5):
            while not self.producers or value not in self.producers[-1].sent:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.producers[-1].sent[value]


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(parcels, "partition_of", lambda key, *_: int(key == OTHER))
    return Publisher()


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have publishers give up soon."""
    monkeypatch.setattr(destination, "PUBLISH_SECONDS", 0.3)
    monkeypatch.setattr(parcels, "LOOK_UP_SECONDS", 0.1)


KEY, OTHER = b"key", b"other"
"""Of one partition each."""


def message(value: bytes, key: bytes = KEY, topic: str = "topic") -> OutboxMessage:
    return OutboxMessage(topic, key, value, ())


async def publishing(
    publisher: Publisher, value: bytes, key: bytes = KEY
) -> "asyncio.Task[Unsent]":
    task = asyncio.create_task(publisher.publish([message(value, key)]))
    await publisher.sent(value)
    return task


def causes(unsent: Unsent) -> dict[int, type[BaseException | None]]:
    """Return why messages did not arrive."""
    assert not unsent.refused
    assert all(isinstance(error, NotArrivedError) for error in unsent.failed.values())
    return {position: type(error.__cause__) for position, error in unsent.failed.items()}


ARRIVED = Unsent({}, {})


@pytest.mark.usefixtures("_hasty")
async def test_nothing_overtakes_what_is_on_its_way_and_other_partitions_do_not_wait(
    publisher: Publisher,
) -> None:
    assert causes(await (await publishing(publisher, b"slow"))) == {0: TimeoutError}
    both = asyncio.create_task(publisher.publish([message(b"next"), message(b"beside", OTHER)]))
    (await publisher.sent(b"beside")).set_result(None)
    unsent = await both
    assert causes(unsent) == {0: TimeoutError}
    assert (unsent.failed[0].topic, unsent.failed[0].partition) == ("topic", 0)  # type: ignore[attr-defined]
    assert b"next" not in publisher.producers[0].sent

    (await publisher.sent(b"slow")).set_result(None)
    follower = await publishing(publisher, b"next")
    (await publisher.sent(b"next")).set_result(None)
    assert await follower == ARRIVED


async def test_two_calls_take_turns_at_a_partition(publisher: Publisher) -> None:
    first = await publishing(publisher, b"first")
    second = asyncio.create_task(publisher.publish([message(b"second")]))
    await asyncio.sleep(0.01)
    assert b"second" not in publisher.producers[0].sent
    (await publisher.sent(b"first")).set_result(None)
    assert await first == ARRIVED
    (await publisher.sent(b"second")).set_result(None)
    assert await second == ARRIVED


@pytest.mark.parametrize(
    ("error", "replaced"),
    [(OutOfOrderSequenceNumber(), True), (KafkaConnectionError(), False)],
)
async def test_an_error_of_the_producer_gets_a_new_one(
    publisher: Publisher, error: Exception, *, replaced: bool
) -> None:
    refused = await publishing(publisher, b"refused")
    (await publisher.sent(b"refused")).set_exception(error)
    assert causes(await refused) == {0: type(error)}
    follower = await publishing(publisher, b"next")
    assert len(publisher.producers) == (2 if replaced else 1)
    assert publisher.producers[0].stops == int(replaced)
    (await publisher.sent(b"next")).set_result(None)
    assert await follower == ARRIVED


async def test_a_producer_that_is_replaced_stops_once_nobody_uses_it(publisher: Publisher) -> None:
    refused = await publishing(publisher, b"refused")
    other = await publishing(publisher, b"other", OTHER)
    old = publisher.producers[0]
    old.sent[b"refused"].set_exception(OutOfOrderSequenceNumber())
    await refused
    follower = await publishing(publisher, b"next")
    assert len(publisher.producers) == 2
    assert old.stops == 0

    old.sent[b"other"].set_result(None)
    assert await other == ARRIVED
    await asyncio.sleep(0)
    assert old.stops == 1
    (await publisher.sent(b"next")).set_result(None)
    assert await follower == ARRIVED
    assert publisher.producers[1].stops == 0


@pytest.mark.usefixtures("_hasty")
async def test_a_topic_that_is_missing_holds_up_its_own_messages(publisher: Publisher) -> None:
    await_first = await publishing(publisher, b"first")
    (await publisher.sent(b"first")).set_result(None)
    await await_first
    publisher.producers[0].client.cluster.missing.add("missing")
    messages = [message(b"1", topic="missing"), message(b"2"), message(b"3", topic="missing")]
    task = asyncio.create_task(publisher.publish(messages))
    (await publisher.sent(b"2")).set_result(None)
    unsent = await task
    assert causes(unsent) == {0: TimeoutError, 2: TimeoutError}
    assert unsent.failed[0].partition is None  # type: ignore[attr-defined]


async def test_a_producer_that_does_not_start_fails_everything(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(_producer: Producer) -> None:
        raise KafkaConnectionError

    monkeypatch.setattr(Producer, "start", start)
    unsent = await publisher.publish([message(b"1"), message(b"2")])
    assert causes(unsent) == {0: KafkaConnectionError, 1: KafkaConnectionError}
    assert publisher.producers[0].stops == 1


async def test_whatever_aiokafka_raises_is_a_failure(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send_batch(*_: object, **__: object) -> None:
        raise AssertionError  # for a partition that a topic made anew has not any more

    monkeypatch.setattr(Producer, "send_batch", send_batch)
    assert causes(await publisher.publish([message(b"1")])) == {0: AssertionError}


async def test_what_cannot_be_packed_is_a_failure_too(publisher: Publisher) -> None:
    # An event that has no ids for its headers: somebody has put it into the outbox by hand.
    unsent = await publisher.publish([OutboxMessage("topic", KEY, b"{}"), message(b"2")])
    assert causes(unsent) == {0: ValueError, 1: ValueError}


async def test_a_slow_broker_gets_all_the_time_that_many_batches_take(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "PUBLISH_SECONDS", 1.0)
    values = [b"%d" % number for number in range(8)]
    first = await publishing(publisher, b"first")
    (await publisher.sent(b"first")).set_result(None)
    await first
    publisher.producers[0].seconds_a_batch = 0.3
    task = asyncio.create_task(publisher.publish([message(value) for value in values]))
    for together in (b"0 1", b"2 3", b"4 5", b"6 7"):
        (await publisher.sent(together)).set_result(None)
    assert await task == ARRIVED


async def test_what_a_stopping_producer_cancels_is_a_failure_to_publish(
    publisher: Publisher,
) -> None:
    cut_off = await publishing(publisher, b"cut off")
    (await publisher.sent(b"cut off")).cancel()
    assert causes(await cut_off) == {0: ConnectionAbortedError}


async def test_a_key_keeps_its_partition_and_its_order_over_several_batches(
    publisher: Publisher,
) -> None:
    values = [b"%d" % number for number in range(5)]
    task = asyncio.create_task(publisher.publish([message(value) for value in values]))
    for together in (b"0 1", b"2 3", b"4"):
        (await publisher.sent(together)).set_result(None)
    assert await task == ARRIVED
    assert list(publisher.producers[0].sent) == [b"0 1", b"2 3", b"4"]
    assert len(set(publisher.producers[0].partitions)) == 1


async def test_what_follows_a_batch_that_fails_does_not_overtake_it(publisher: Publisher) -> None:
    task = asyncio.create_task(publisher.publish([message(b"%d" % n) for n in range(5)]))
    (await publisher.sent(b"0 1")).set_result(None)
    (await publisher.sent(b"2 3")).set_exception(KafkaConnectionError())
    assert causes(await task) == dict.fromkeys((2, 3, 4), KafkaConnectionError)
    assert list(publisher.producers[0].sent) == [b"0 1", b"2 3"]


# --- what aiokafka forgets -----------------------------------------------------------------------


@pytest.mark.usefixtures("_hasty")
async def test_what_never_arrives_fails_with_its_producer_and_others_go_on(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka killed twice within 25 s left such a batch: its shard stood still until a restart."""
    monkeypatch.setattr(destination, "STUCK_SECONDS", 0.1)
    assert causes(await (await publishing(publisher, b"forgotten"))) == {0: TimeoutError}
    forgetful = publisher.producers[0]
    forgetful._message_accumulator._pending_batches.add(Pending(forgetful.sent[b"forgotten"]))
    assert causes(await publisher.publish([message(b"again")])) == {0: TimeoutError}
    assert forgetful.stops == 0

    async with asyncio.timeout(5):
        while not forgetful.stops:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    again = await publishing(publisher, b"again")
    assert len(publisher.producers) == 2
    (await publisher.sent(b"again")).set_result(None)
    assert await again == ARRIVED


async def test_what_a_cancelled_call_left_on_its_way_is_not_waited_for_for_good(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "STUCK_SECONDS", 0.0)
    left = await publishing(publisher, b"left")
    left.cancel()
    await asyncio.wait([left])
    async with asyncio.timeout(5):
        while not publisher.producers[0].stops:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Pending:
    """A batch of aiokafka's, as it fails them."""

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self.failure = future.set_exception


class Silent(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's own producer, with its queue and its sender, whose broker never answers."""

    def __init__(self) -> None:
        super().__init__(bootstrap_servers="nowhere:1", retry_backoff_ms=1)
        self.client.send = self._never
        self.client.cluster.leader_for_partition = lambda _place: 0
        self.client._wait_on_metadata = self._partitions
        self.requests = 0
        self.closed = False

    async def start(self) -> None:
        await self._sender.start()

    async def _partitions(self, _topic: str) -> set[int]:
        return {0}

    async def _never(self, _node: int, _request: object) -> None:
        self.requests += 1
        await asyncio.get_running_loop().create_future()

    def _partition(self, *_: object) -> int:
        return 0


@pytest.mark.parametrize("ends", ["waits for the broker", "ends with an error"])
async def test_no_batch_outlives_its_producer_wherever_it_is(
    monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(producers, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(producers, "CANCEL_AGAIN_SECONDS", 0.01)
    producer = Silent()
    await producer.start()
    sent = [await queued(producer)]
    async with asyncio.timeout(5):
        while not producer.requests:  # noqa: ASYNC110
            await asyncio.sleep(0)
    # Who waits for its turn in aiokafka's queue is let in while the producer stops, and forgotten.
    late = asyncio.create_task(queued(producer))
    if ends == "ends with an error":
        producer._sender._send_produce_req = None
    await producers.stop(producer)
    sent.append(await late)
    ended = await asyncio.wait_for(asyncio.gather(*sent, return_exceptions=True), 5)
    assert all(isinstance(error, Exception) for error in ended)
    assert producer._sender.sender_task.done()
    with pytest.raises(KafkaError):
        await queued(producer)


async def test_what_was_to_be_sent_once_more_fails_without_a_word_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producers, "STOP_SECONDS", 0.05)
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    producer = Silent()
    await producer.start()
    sent = await queued(producer)
    accumulator = producer._message_accumulator
    async with asyncio.timeout(5):
        while not producer.requests:  # noqa: ASYNC110
            await asyncio.sleep(0)
    [batch] = accumulator._pending_batches
    accumulator.reenqueue(batch)
    await producers.stop(producer)
    with pytest.raises(ConnectionAbortedError):
        await sent
    assert logged == []


async def queued(producer: AIOKafkaProducer) -> "asyncio.Future[None]":
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"key", value=b"value")
    batch.close()
    future: asyncio.Future[None] = await producer.send_batch(batch, "topic", partition=0)
    return future


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
        self.sends = 0

    def _create(self, *, idempotent: bool) -> Any:  # noqa: ANN401
        made = super()._create(idempotent=idempotent)
        made.client.cluster.partitions = {0}
        made.send_batch = self._take
        return made

    def refuses(self, values: Sequence[bytes]) -> bool:
        return bool(set(values) & set(self.refused))

    async def _take(self, batch: Batch, _topic: str, *, partition: int) -> "asyncio.Future[None]":
        assert partition == 0
        self.sends += 1
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
    assert await publisher.publish(messages) == Unsent({1: reason})
    assert sorted(publisher.log) == [b"1", b"3", b"4"]
    await asyncio.sleep(0.01)
    assert [careful.stops for careful in publisher.careful] == [1]


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
    assert causes(await publisher.publish(keyed((b"a", b"1")))) == {0: type(error)}
    assert publisher.careful == []


async def test_later_messages_of_the_refused_key_wait_and_no_others() -> None:
    publisher = OnePartition(b"2")
    messages = keyed(
        (b"a", b"1"), (b"a", b"2"), (b"b", b"3"), (b"a", b"4"), (b"b", b"5"), (b"a", b"6")
    )
    messages.append(OutboxMessage("other topic", b"a", b"7", ()))
    assert await publisher.publish(messages) == Unsent({1: Refusal.TOO_LARGE, 3: None, 5: None})
    assert [value for value in publisher.log if value != b"7"] == [b"1", b"3", b"5"]
    assert b"7" in publisher.log


async def test_nothing_waits_for_a_refused_message_without_a_key() -> None:
    publisher = OnePartition(b"1", b"3")
    messages = keyed((None, b"1"), (None, b"2"), (None, b"3"), (b"", b"4"))
    assert await publisher.publish(messages) == Unsent({0: Refusal.TOO_LARGE, 2: Refusal.TOO_LARGE})
    assert publisher.log == [b"2", b"4"]


async def test_what_follows_a_batch_with_a_refused_message_goes_in_batches_again() -> None:
    publisher = OnePartition(b"2", b"13")
    values = [b"%d" % number for number in range(1, 31)]
    keys = [b"a" if number % 5 == 2 else None for number in range(1, 31)]
    unsent = await publisher.publish(keyed(*zip(keys, values, strict=True)))
    held = [position for position in range(2, 30) if keys[position]]
    assert unsent == Unsent({1: Refusal.TOO_LARGE, 12: Refusal.TOO_LARGE} | dict.fromkeys(held))
    assert publisher.log == [v for n, v in enumerate(values) if n not in unsent.refused]
    # Two of fifteen batches are refused and taken apart.
    assert publisher.sends == 15 + 2 * 2


async def test_what_no_request_has_room_for_is_refused_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parcels, "MAX_REQUEST_BYTES", 5)
    publisher = OnePartition()
    messages = keyed((b"a", b"1"), (b"a", LARGE), (b"a", b"2"), (b"b", b"3"))
    assert await publisher.publish(messages) == Unsent({1: Refusal.TOO_LARGE, 2: None})
    assert publisher.log == [b"1", b"3"]


class Narrow(OnePartition):
    """Takes batches of one message alone."""

    def refuses(self, values: Sequence[bytes]) -> bool:
        return len(values) > 1


async def test_a_topic_that_takes_less_gets_smaller_batches_and_loses_nothing() -> None:
    publisher = Narrow()
    whole = [message(b"%d" % number) for number in range(2)]
    assert await publisher.publish(whole) == Unsent({})
    assert publisher.log == [b"0", b"1"]
    made = len(publisher.producers) + len(publisher.careful)
    assert await publisher.publish(whole) == Unsent({})
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
        assert await publisher.publish(whole) == Unsent({})
    assert publisher.log == [b"0", b"1"] * 2
    assert len(publisher.careful) == 2


class GoneInTheSearch(OnePartition):
    def refuses(self, values: Sequence[bytes]) -> bool:
        if self.careful:
            raise KafkaConnectionError
        return super().refuses(values)


async def test_a_broker_that_goes_away_in_the_search_leaves_everything_in_the_outbox() -> None:
    messages = keyed((b"a", b"1"), (b"b", b"2"))
    assert causes(await GoneInTheSearch(b"1").publish(messages)) == dict.fromkeys(
        (0, 1), KafkaConnectionError
    )
