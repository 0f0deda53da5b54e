"""Messages that are read, stored and sent on, as fast as it goes, with the service's promises.

A message counts once (inbox); what it changes, what is remembered of that and what it has sent are
committed together; what is committed is sent, at least once, in its order for each key (packs,
deleted when the broker has them with acks=all, and looked for at the start); offsets are committed
after that. What is left out: every check and refusal, several workers, numbers of the feed, pushes
to browsers, logs and metrics.

Batches are read, stored and sent side by side, each of these one batch at a time.
"""

import abc
import asyncio
import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from bench.database import Connection
from bench.floors import storing
from bench.floors.server import serve
from bench.floors.storing import Pack
from bench.packing import OPTIONS, Message, Packer
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_consumer, kafka_producer, places_of

GROUP: Final = "bench-floor"
#: A batch has at most so many messages, and so many rows if it is not one message with more.
MESSAGES_AT_ONCE: Final = 500
ROWS_AT_ONCE: Final = 1_000
#: Batches that wait between two steps.
AHEAD: Final = 1

Offsets = dict[TopicPartition, OffsetAndMetadata]


@dataclass(frozen=True, slots=True)
class Read:
    """A message, with its rows and with what it has sent."""

    id: UUID
    delivery: UUID
    rows: Sequence[tuple[Any, ...]]
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages, and up to where they have been read."""

    read: Sequence[Read]
    offsets: Offsets


class Work(abc.ABC):
    """What is done with messages."""

    @abc.abstractmethod
    def read(self, value: bytes, delivery: UUID) -> Read:
        """Read a message."""

    @abc.abstractmethod
    async def store(self, connection: Connection, read: Sequence[Read]) -> None:
        """Store the rows of messages that are new."""


class Pipeline:
    """Three steps, each in a task of its own."""

    def __init__(
        self, consumer: AIOKafkaConsumer, packer: Packer, connection: Connection, work: Work
    ) -> None:
        self._consumer = consumer
        self._packer = packer
        self._connection = connection
        self._work = work
        self._read: asyncio.Queue[Batch | None] = asyncio.Queue(AHEAD)
        self._stored: asyncio.Queue[tuple[Pack, Offsets]] = asyncio.Queue(AHEAD)
        self._sent: list[int] = []

    async def run(self) -> None:
        """Run until cancelled."""
        left = await storing.left(self._connection)
        await self._stored.put((left, {}))
        async with asyncio.TaskGroup() as tasks:
            for step in (self._reading(), self._storing(), self._sending()):
                tasks.create_task(step)

    async def _reading(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=1000, max_records=MESSAGES_AT_ONCE)
            for place, records in found.items():
                read = [self._work.read(r.value, _delivery(r)) for r in records]
                done = 0
                for some in _cut(read):
                    done += len(some)
                    reached = OffsetAndMetadata(records[done - 1].offset + 1, "")
                    await self._read.put(Batch(some, {place: reached}))

    async def _storing(self) -> None:
        while True:
            batch = await self._read.get()
            async with self._connection.transaction():
                if ids := self._sent:
                    self._sent = []
                    await self._connection.execute(storing.DELETE_PACKS, ids)
                pack = await self._store(batch.read) if batch else None
            if batch and pack:
                await self._stored.put((pack, batch.offsets))

    async def _store(self, read: Sequence[Read]) -> Pack:
        new = await storing.enter(self._connection, [(one.id, one.delivery) for one in read])
        fresh = list({one.id: one for one in read if one.id in new}.values())
        if not fresh:
            return Pack([], [])
        await self._work.store(self._connection, fresh)
        return await storing.put(self._connection, [m for one in fresh for m in one.messages])

    async def _sending(self) -> None:
        while True:
            pack, offsets = await self._stored.get()
            sending = self._packer.send(pack.messages)
            await (asyncio.gather(sending, self._consumer.commit(offsets)) if offsets else sending)
            self._sent += pack.ids
            if self._read.empty():
                self._read.put_nowait(None)


def _delivery(record: Any) -> UUID:  # noqa: ANN401  # aiokafka's
    return UUID(int=record.partition << 64 | record.offset)


def _cut(read: Sequence[Read]) -> Iterator[Sequence[Read]]:
    """Cut messages into pieces of ROWS_AT_ONCE, or one longer message."""
    some: list[Read] = []
    rows = 0
    for one in read:
        if some and rows + len(one.rows) > ROWS_AT_ONCE:
            yield some
            some, rows = [], 0
        some.append(one)
        rows += len(one.rows)
    if some:
        yield some


async def main(port: int, servers: str, topic: str, dsn: str, work: Work) -> None:
    """Work until SIGTERM."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    async with (
        kafka_consumer(servers, group_id=GROUP, auto_offset_reset="earliest") as consumer,
        kafka_producer(servers, **OPTIONS) as producer,
        connected(dsn) as connection,
        asyncio.TaskGroup() as tasks,
    ):
        # Not as a member of the group: the embedded broker lets a join wait.
        consumer.assign(places_of([topic], len(await producer.partitions_for(topic))))
        running = tasks.create_task(Pipeline(consumer, Packer(producer), connection, work).run())
        await serve(web.Application(), port)
        running.cancel()
