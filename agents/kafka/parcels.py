"""Messages packed into batches, one list for each partition."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka.partitioner import hashes_of, partition_of
from rules.models import OutboxMessage
from rules.sizes import size_of

#: How long the partitions of a topic are asked for: one that is missing holds up the others.
LOOK_UP_SECONDS: Final = 3.0

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


@dataclass(slots=True, eq=False)
class Parcel:
    """A batch with the positions of its messages; no batch if no request has room for it."""

    batch: Batch | None
    positions: list[int]


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


@dataclass(frozen=True, slots=True)
class Route:
    """The partitions of a topic, or why they are not known, and the limit of its batches."""

    partitions: Sequence[int]
    limit: int | None
    error: BaseException | None = None


async def routes_of(
    producer: AIOKafkaProducer, topics: Iterable[str], limits: BatchLimits
) -> dict[str, Route]:
    """Ask for the partitions of topics: of those that are not known yet at once."""
    named = list(dict.fromkeys(topics))
    partitions_of = producer.client.cluster.partitions_for_topic
    known = {topic: found for topic in named if (found := partitions_of(topic))}
    routes = {topic: Route(sorted(found), limits.get(topic)) for topic, found in known.items()}
    new = [topic for topic in named if topic not in known]
    if new:
        found = await asyncio.gather(*(_route(producer, topic, limits.get(topic)) for topic in new))
        routes |= zip(new, found, strict=True)
    return routes


async def _route(producer: AIOKafkaProducer, topic: str, limit: int | None) -> Route:
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            return Route(sorted(await producer.partitions_for(topic)), limit)
    except (KafkaError, OSError, TimeoutError) as error:
        return Route((), limit, error)


def packed(
    producer: AIOKafkaProducer, messages: Sequence[OutboxMessage], routes: Mapping[str, Route]
) -> dict[Place, list[Parcel]]:
    """Pack messages of which the way is known, in order."""
    hashes = hashes_of(message.key for message in messages)
    positions: defaultdict[Place, list[int]] = defaultdict(list)
    for position, message in enumerate(messages):
        route = routes[message.topic]
        if route.error is None:
            place = message.topic, partition_of(message.key, hashes, route.partitions)
            positions[place].append(position)
    return {
        place: _filled(producer, messages, found, routes[place[0]].limit)
        for place, found in positions.items()
    }


def _filled(
    producer: AIOKafkaProducer,
    messages: Sequence[OutboxMessage],
    positions: Iterable[int],
    limit: int | None,
) -> list[Parcel]:
    """Pack what is for one partition. Few calls, since this is done for every message."""
    parcels: list[Parcel] = []
    batch: Batch | None = None
    for position in positions:
        message = messages[position]
        is_full = batch is None or (limit and batch.size() + _size(message) > limit)
        if is_full or not _appended(batch, message):
            batch = packed_together(producer, [message])
            parcels.append(Parcel(batch, [position]))
        else:
            parcels[-1].positions.append(position)
    return parcels


def packed_together(producer: AIOKafkaProducer, messages: Sequence[OutboxMessage]) -> Batch | None:
    """Pack messages into a batch, to which others may be added; None if there is no room."""
    if any(_size(message) > MAX_REQUEST_BYTES for message in messages):
        return None
    batch = producer.create_batch()  # an empty one has room for any message
    return batch if all(_appended(batch, message) for message in messages) else None


def _appended(batch: Batch, message: OutboxMessage) -> bool:
    added = batch.append(
        timestamp=None, key=message.key, value=message.value, headers=list(message.headers)
    )
    return added is not None


def _size(message: OutboxMessage) -> int:
    return size_of(message.key, message.value, message.headers)
