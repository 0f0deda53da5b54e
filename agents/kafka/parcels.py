"""Messages packed into batches, one list for each partition, and their way to the broker."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from agents.kafka.partitioner import partition_for
from rules.models import OutboxMessage
from rules.sizes import size_of

#: How long one call waits for the broker; what it sent stays in flight after that.
PUBLISH_SECONDS: Final = 10.0

#: More than any message that a topic was ever made for. Of some of these at once a request stays
#: below what brokers accept (`socket.request.max.bytes`): of whoever sends more they close the
#: connection, without an answer.
MAX_REQUEST_BYTES: Final = 32 * 1024 * 1024

#: How long a topic gets smaller batches after it has refused one.
LIMIT_SECONDS: Final = 60.0

#: A topic and the number of a partition.
Place: TypeAlias = tuple[str, int]
#: aiokafka's BatchBuilder.
Batch: TypeAlias = Any
#: What is on its way to the broker.
InFlight: TypeAlias = "set[asyncio.Future[Any]]"


@dataclass(slots=True, eq=False)
class Parcel:
    """A batch with the positions of its messages; no batch if no request has room for it.

    `sent` is the future of its arrival, once it is on its way.
    """

    place: Place
    batch: Batch | None
    positions: list[int]
    sent: "asyncio.Future[Any] | None" = None

    @property
    def error(self) -> BaseException | None:
        """Why it did not arrive; None if it did, or if that is not known."""
        if self.batch is None:
            too_large: BaseException = MessageSizeTooLargeError()
            return too_large
        if self.sent is None or not self.sent.done():
            return None
        return failure(self.sent)

    @property
    def has_arrived(self) -> bool:
        """Whether the broker has it."""
        return self.sent is not None and self.sent.done() and self.error is None

    def add(self, position: int, message: OutboxMessage, limit: int | None) -> bool:
        """Add a message if there is room."""
        if self.batch is None or (limit and self.batch.size() + _size(message) > limit):
            return False
        if not _appended(self.batch, message):
            return False
        self.positions.append(position)
        return True

    async def send(self, producer: AIOKafkaProducer, in_flight: InFlight) -> None:
        """Send it. Raises KafkaError."""
        if self.batch is None:
            raise MessageSizeTooLargeError
        # An open batch would wait for more messages.
        self.batch.close()
        topic, partition = self.place
        self.sent = await producer.send_batch(self.batch, topic, partition=partition)
        in_flight.add(self.sent)

    async def arrival(self) -> None:
        """Wait until it has arrived. Raises why it has not."""
        if self.sent is not None:
            await asyncio.wait([self.sent], timeout=PUBLISH_SECONDS)
        if not self.has_arrived:
            raise self.error or TimeoutError()


class BatchLimits:
    """Sizes of batches for topics that refuse larger ones.

    Their limit may be below ours. It is tried anew after a while, since people change it.
    """

    def __init__(self) -> None:
        self._limits: dict[str, tuple[int, float]] = {}

    def get(self, topic: str) -> int | None:
        """Return the limit of a topic, None for ours."""
        limit, until = self._limits.get(topic, (None, 0.0))
        return limit if until > time.monotonic() else None

    def halve(self, topic: str, refused: int) -> None:
        """Make the next batches half as large as one that was refused."""
        self._limits[topic] = max(refused // 2, 1), time.monotonic() + LIMIT_SECONDS


async def packed(
    producer: AIOKafkaProducer, messages: Iterable[OutboxMessage], limits: BatchLimits
) -> dict[Place, list[Parcel]]:
    """Pack messages in order."""
    partitions: dict[str, list[int]] = {}
    places: dict[Place, list[Parcel]] = {}
    for position, message in enumerate(messages):
        topic = message.topic
        if topic not in partitions:
            partitions[topic] = sorted(await producer.partitions_for(topic))
        place = topic, partition_for(message.key, partitions[topic])
        parcels = places.setdefault(place, [])
        if not (parcels and parcels[-1].add(position, message, limits.get(topic))):
            parcels.append(packed_alone(producer, place, position, message))
    return places


def packed_alone(
    producer: AIOKafkaProducer, place: Place, position: int, message: OutboxMessage
) -> Parcel:
    """Pack a message, to which others may be added."""
    if _size(message) > MAX_REQUEST_BYTES:
        return Parcel(place, None, [position])
    batch = producer.create_batch()
    _appended(batch, message)  # an empty batch always has room
    return Parcel(place, batch, [position])


def failure(sent: "asyncio.Future[Any]") -> BaseException | None:
    """Return why a batch did not arrive; a producer that stops cancels its unsent ones."""
    return ConnectionAbortedError() if sent.cancelled() else sent.exception()


def let_go_of_homeless(producer: AIOKafkaProducer) -> None:
    """Have the producer fail what waits for partitions that a topic made anew no longer has.

    Its batches never expire, so they would wait for good. Its sender drops them from the queue
    before it fails them, so none can follow what is sent in their stead. A topic that does not
    exist may come back with the same partitions: what waits for it goes on waiting.
    """
    for (topic, partition), batches in producer._message_accumulator._batches.items():  # noqa: SLF001
        known = producer.client.cluster.partitions_for_topic(topic)
        if known is not None and partition not in known:
            for batch in batches:
                batch._ttl = 0.0  # noqa: SLF001


def _appended(batch: Batch, message: OutboxMessage) -> bool:
    added = batch.append(
        timestamp=None, key=message.key, value=message.value, headers=list(message.headers)
    )
    return added is not None


def _size(message: OutboxMessage) -> int:
    return size_of(message.key, message.value, message.headers)
