"""Writing to the service's topics and reading them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from devstack.rig import envelopes
from devstack.rig.envelopes import SUGGESTIONS
from devstack.rig.kafka_clients import (
    assign_from_start,
    kafka_consumer,
    kafka_producer,
    places_of,
)
from devstack.rig.suggestions import Suggested
from devstack.rig.tasks import background
from devstack.rig.waiting import until

CLASS_CREATED: Final = "huleedu.class.created.v1"
CLASS_UPDATED: Final = "huleedu.class.updated.v1"
CLASS_DELETED: Final = "huleedu.class.deleted.v1"
STUDENT_CREATED: Final = "huleedu.class.student.created.v1"
STUDENT_UPDATED: Final = "huleedu.class.student.updated.v1"
STUDENT_DELETED: Final = "huleedu.class.student.deleted.v1"
CONFIRMED: Final = "huleedu.class.student.associations.confirmed.v1"
ASSOCIATION_UPDATED: Final = "huleedu.class.essay.association.updated.v1"
TIMED_OUT: Final = "huleedu.class.validation.timeout.processed.v1"
NOTIFICATIONS: Final = "huleedu.notification.teacher.requested.v1"
TIMERS: Final = "class-management.timers.v1"
DEAD_SUGGESTIONS: Final = f"{SUGGESTIONS}.dlt"
COMMANDS: Final = envelopes.COMMANDS
COMMAND_RESULTS: Final = "huleedu.class.command.results.v1"
DEAD_COMMANDS: Final = f"{COMMANDS}.dlt"

EVENTS: Final = (
    CLASS_CREATED,
    CLASS_UPDATED,
    CLASS_DELETED,
    STUDENT_CREATED,
    STUDENT_UPDATED,
    STUDENT_DELETED,
    CONFIRMED,
    TIMED_OUT,
    NOTIFICATIONS,
    ASSOCIATION_UPDATED,
    COMMAND_RESULTS,
)
READ: Final = (*EVENTS, TIMERS, DEAD_SUGGESTIONS, DEAD_COMMANDS)
#: The service's own defaults.
PARTITIONS: Final = 8
GROUP: Final = "class-management-service"

FENCE: Final = "test-fence"
#: A broker that is away for a while must not make a test's own client give up.
REQUEST_MS: Final = 60_000

Headers = Sequence[tuple[str, bytes]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def envelope(self) -> Json:
        """The value, decoded."""
        assert self.value is not None
        envelope: Json = orjson.loads(self.value)
        return envelope

    @property
    def event_id(self) -> str:
        """The event's identity, the same in every delivery."""
        return str(self.envelope["event_id"])

    @property
    def data(self) -> Json:
        """The event in the envelope."""
        data: Json = self.envelope["data"]
        return data

    def header(self, name: str) -> str:
        """Return a header's text; it must be there once."""
        (value,) = (value for key, value in self.headers if key == name)
        return value.decode()


class Topics:
    """Everything that the topics hold, from the beginning, and a way to write to them."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        """`drained` returns once the service has nothing left to publish."""
        self._consumer = consumer
        self._producer = producer
        self._drained = drained
        self._messages: defaultdict[str, list[Message]] = defaultdict(list)
        self._fences: set[tuple[str, int, str]] = set()

    async def follow(self) -> None:
        """Collect for ever."""
        async for record in self._consumer:
            headers = tuple(record.headers)
            if fences := [value.decode() for name, value in headers if name == FENCE]:
                self._fences.add((record.topic, record.partition, fences[0]))
                continue
            self._messages[record.topic].append(
                Message(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.key,
                    record.value,
                    headers,
                )
            )

    async def send(
        self,
        value: bytes | None,
        key: str | None = None,
        headers: Headers = (),
        topic: str = SUGGESTIONS,
    ) -> tuple[int, int]:
        """Write to a topic, by default that of suggestions; return partition and offset."""
        sent = await self._producer.send_and_wait(
            topic, value, key=key.encode() if key else None, headers=list(headers)
        )
        return sent.partition, sent.offset

    async def suggest(self, suggested: Suggested, key: str | None = None) -> None:
        """Write a message of suggestions, by default with the batch's id as its key."""
        await self.send(suggested.value, key or suggested.batch_id)

    async def send_timer(self, batch_id: str, **data: object) -> None:
        """Write to the internal topic of timers."""
        envelope = {"event_id": str(uuid4()), "data": {"batch_id": batch_id, **data}}
        await self._producer.send_and_wait(TIMERS, orjson.dumps(envelope), key=batch_id.encode())

    def of(self, topic: str) -> list[Message]:
        """Return everything that has been read of a topic so far."""
        return self._messages[topic]

    def now(self, topic: str, key: str) -> list[Message]:
        """Return what has been read of a key so far."""
        return [m for m in self._messages[topic] if m.key == key.encode()]

    def published(self) -> list[Message]:
        """Return every event of the service that has been read so far."""
        return [m for topic in EVENTS for m in self._messages[topic]]

    async def expect_value(self, topic: str, value: bytes) -> list[Message]:
        """Wait until a topic holds a message with this value, whatever its key."""

        async def look() -> list[Message]:
            return [m for m in self._messages[topic] if m.value == value]

        return await until(f"{value!r} in {topic}", look, self._sizes)

    async def expect(self, topic: str, key: str, count: int = 1) -> list[Message]:
        """Wait until a topic holds so many messages of a key; return all that it holds."""

        async def look() -> list[Message]:
            found = self.now(topic, key)
            return found if len(found) >= count else []

        return await until(
            f"{count} messages of {key} in {topic}",
            look,
            lambda: (self.now(topic, key), self._sizes()),
        )

    async def expect_one(self, topic: str, key: str) -> Message:
        """Wait until a topic holds the one event of a key, which may have been delivered twice.

        A worker that ends between an event's delivery and its removal from the outbox leaves it
        to be sent once more, with the same id.

        Raises:
            AssertionError: there are different events.

        """
        first, *more = await self.expect(topic, key)
        others = {message.event_id for message in more} - {first.event_id}
        assert not others, f"{topic} has {first.event_id} and {others} of {key}"
        return first

    async def all_of(self, topic: str, key: str) -> list[Message]:
        """Return all messages of a key that what has happened so far brings about."""
        await self.settle([topic])
        return self.now(topic, key)

    async def settle(self, topics: Collection[str] = READ) -> None:
        """Wait until everything that the service has committed has been read here."""
        await self._drained()
        fence = uuid4().hex
        wanted = {(topic, partition, fence) for topic in topics for partition in range(PARTITIONS)}
        await asyncio.gather(*(self._fence(*place) for place in wanted))

        async def look() -> bool:
            return wanted <= self._fences

        await until(f"a fence in {topics}", look, lambda: wanted - self._fences)

    def _sizes(self) -> dict[str, int]:
        return {topic: len(messages) for topic, messages in self._messages.items()}

    async def _fence(self, topic: str, partition: int, fence: str) -> None:
        """Write what only this reader takes note of."""
        await self._producer.send_and_wait(
            topic, _HARMLESS, partition=partition, headers=[(FENCE, fence.encode())]
        )


#: A fence clears a timer that was never set, since the service reads the topic of timers itself.
_HARMLESS: Final = orjson.dumps(
    {
        "event_id": str(uuid4()),
        "data": {"event": "cleared", "batch_id": str(uuid4())},
    }
)


async def committed(bootstrap_servers: str, topic: str = SUGGESTIONS) -> None:
    """Wait until the service has committed all that a topic holds: it is a member of its group."""
    async with kafka_consumer(bootstrap_servers, group_id=GROUP) as consumer:
        places = places_of([topic], PARTITIONS)
        consumer.assign(places)
        missing: dict[int, int] = {}

        async def look() -> bool:
            for place, end in (await consumer.end_offsets(places)).items():
                missing[place.partition] = end - (await consumer.committed(place) or 0)
            # The embedded broker may call an end what has a message behind it.
            return max(missing.values()) <= 0

        await until(f"commits of all of {topic}", look, lambda: missing)


@asynccontextmanager
async def reading(
    bootstrap_servers: str, drained: Callable[[], Awaitable[None]]
) -> AsyncIterator[Topics]:
    """Read the topics from their beginning."""
    consuming = kafka_consumer(bootstrap_servers, request_timeout_ms=REQUEST_MS)
    producing = kafka_producer(bootstrap_servers, acks="all", request_timeout_ms=REQUEST_MS)
    async with producing as producer, consuming as consumer:
        assign_from_start(consumer, places_of(READ, PARTITIONS))
        topics = Topics(consumer, producer, drained)
        async with background(topics.follow()):
            yield topics
