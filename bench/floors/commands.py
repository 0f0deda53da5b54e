"""aiokafka and asyncpg alone, as fast as it goes: students from commands, with the same promises.

`python -m bench.floors.commands PORT BOOTSTRAP_SERVERS TOPIC EVENTS_TOPIC`

What it keeps of what the service promises: a command counts once (inbox); its students, enrolments,
what is remembered of them and its messages are committed together; what is committed is sent, at
least once, in its order for each key (packs, deleted when the broker has them with acks=all, and
looked for at the start); offsets are committed after that. What it leaves out: every check and
refusal, several workers and users, numbers of the feed, pushes to browsers, logs and metrics.

Batches of 500 commands or 1,000 students are read, stored and sent side by side, each of these one
batch at a time.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from bench.database import Connection
from bench.floors import storing
from bench.floors.command_messages import Command, command, messages, rows
from bench.floors.server import FLOOR_DSN, serve
from bench.floors.storing import Pack
from bench.packing import OPTIONS, Message, Packer
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_consumer, kafka_producer, places_of

GROUP: Final = "bench-commands"
COMMANDS_AT_ONCE: Final = 500
STUDENTS_AT_ONCE: Final = 1_000
#: Batches that wait between two steps.
AHEAD: Final = 1

Offsets = dict[TopicPartition, OffsetAndMetadata]


@dataclass(frozen=True, slots=True)
class Read:
    """A command with its delivery."""

    id: UUID
    delivery: UUID
    command: Command
    rows: Sequence[tuple[Any, ...]]
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands, and up to where they have been read."""

    commands: Sequence[Read]
    offsets: Offsets


class CommandExecutor:
    """Executes commands: three steps, each in a task of its own."""

    def __init__(
        self, consumer: AIOKafkaConsumer, packer: Packer, connection: Connection, topic: str
    ) -> None:
        self._consumer = consumer
        self._packer = packer
        self._connection = connection
        self._topic = topic
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
            found = await self._consumer.getmany(timeout_ms=1000, max_records=COMMANDS_AT_ONCE)
            for place, records in found.items():
                for some in _cut([_read(record, self._topic) for record in records]):
                    last = records[len(some) - 1].offset
                    del records[: len(some)]
                    await self._read.put(Batch(some, {place: OffsetAndMetadata(last + 1, "")}))

    async def _storing(self) -> None:
        while True:
            batch = await self._read.get()
            async with self._connection.transaction():
                if ids := self._sent:
                    self._sent = []
                    await self._connection.execute(storing.DELETE_PACKS, ids)
                pack = await self._store(batch.commands) if batch else None
            if batch and pack:
                await self._stored.put((pack, batch.offsets))

    async def _store(self, commands: Sequence[Read]) -> Pack:
        new = await storing.enter(self._connection, [(one.id, one.delivery) for one in commands])
        fresh = list({one.id: one for one in commands if one.id in new}.values())
        if not fresh:
            return Pack([], [])
        columns = storing.transposed([row for one in fresh for row in one.rows])
        await self._connection.execute(storing.STORE_STUDENTS, *columns)
        return await storing.put(self._connection, [m for one in fresh for m in one.messages])

    async def _sending(self) -> None:
        while True:
            pack, offsets = await self._stored.get()
            sending = self._packer.send(pack.messages)
            await (asyncio.gather(sending, self._consumer.commit(offsets)) if offsets else sending)
            self._sent += pack.ids
            if self._read.empty():
                self._read.put_nowait(None)


def _read(record: Any, topic: str) -> Read:  # noqa: ANN401  # aiokafka's
    there = command(record.value)
    delivery = UUID(int=record.partition << 64 | record.offset)
    return Read(UUID(there.event_id), delivery, there, [*rows(there)], [*messages(there, topic)])


def _cut(commands: Sequence[Read]) -> Iterator[Sequence[Read]]:
    """Cut commands into pieces of STUDENTS_AT_ONCE, or one longer roster."""
    some: list[Read] = []
    students = 0
    for one in commands:
        if some and students + len(one.rows) > STUDENTS_AT_ONCE:
            yield some
            some, students = [], 0
        some.append(one)
        students += len(one.rows)
    if some:
        yield some


async def main(port: int, servers: str, topic: str, events_topic: str, dsn: str) -> None:
    """Execute commands until SIGTERM."""
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
        executor = CommandExecutor(consumer, Packer(producer), connection, events_topic)
        executing = tasks.create_task(executor.run())
        await serve(web.Application(), port)
        executing.cancel()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], os.environ[FLOOR_DSN]))
