"""Single messages to an idle service: how soon each is stored.

PostgreSQL is polled about a thousand times a second.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench import commands
from bench.database import Connection
from bench.kafka import TAIL_MS, producing
from bench.suggestions import Batch
from devstack.rig.database import connected
from devstack.rig.kafka_clients import tail
from devstack.rig.tasks import background
from devstack.rig.waiting import until
from rules.ids import new_id

LOOK_SECONDS: Final = 0.0005
LIMIT_SECONDS: Final = 30.0
#: From one message to the next: less than a second, after which the relay polls anyway.
PAUSE_SECONDS: Final = (0.05, 0.2)
ESSAYS: Final = 5

_STUDENT_SQL: Final = "select exists (select from students where id = $1)"
_BATCH_SQL: Final = "select exists (select from batches where id = $1)"


@dataclass(frozen=True)
class LoneLoad:
    """The topics of the messages and their results."""

    bootstrap_servers: str
    topic: str
    dsn: str
    count: int
    events_topic: str = ""
    """The topic of StudentCreatedV1."""
    wait_ms: int = TAIL_MS
    """How long a fetch of the events may wait; the embedded broker uses all of it."""


@dataclass
class Waited:
    """Times in milliseconds, one per message."""

    to_commit: list[float] = field(default_factory=list)
    to_event: list[float] = field(default_factory=list)
    """From the moment the commit was seen until the event was read."""


class Arrivals:
    """Records when each key is read."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._seen: dict[bytes, asyncio.Future[float]] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            for records in (await self._consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    seen = self._of(record.key)
                    if not seen.done():
                        seen.set_result(time.perf_counter())

    async def wait(self, key: bytes) -> float:
        """Wait until a key is read; return when."""
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self._of(key)

    def _of(self, key: bytes) -> "asyncio.Future[float]":
        return self._seen.setdefault(key, asyncio.get_running_loop().create_future())


def send_commands(load: LoneLoad) -> Waited:
    """Send commands one by one; return how long each and its event took."""
    return uvloop.run(_send_commands(load))


def send_suggestions(load: LoneLoad) -> Waited:
    """Send batches of suggestions one by one; return how long each took to store."""
    return uvloop.run(_send_suggestions(load))


async def _send_commands(load: LoneLoad) -> Waited:
    waited = Waited()
    tailing = tail(load.bootstrap_servers, load.events_topic, wait_ms=load.wait_ms)
    async with tailing as consumer, _clients(load) as (producer, connection):
        arrivals = Arrivals(consumer)
        async with background(arrivals.run()):
            school = commands.School()
            await school.prepare(connection)
            stored = await connection.prepare(_STUDENT_SQL)
            for number in range(load.count):
                await _pause()
                student_id = new_id()
                key, value = school.student_create(number, student_id)
                began = time.perf_counter()
                await producer.send(load.topic, value, key=key)
                await _seen(stored, student_id)
                committed = time.perf_counter()
                event = await arrivals.wait(str(student_id).encode())
                waited.to_commit.append((committed - began) * 1000)
                waited.to_event.append(max(event - committed, 0.0) * 1000)
    return waited


async def _send_suggestions(load: LoneLoad) -> Waited:
    waited = Waited()
    async with _clients(load) as (producer, connection):
        stored = await connection.prepare(_BATCH_SQL)
        for number in range(load.count):
            await _pause()
            batch = Batch(number, ESSAYS)
            began = time.perf_counter()
            await producer.send(load.topic, batch.value, key=batch.key)
            await _seen(stored, batch.id)
            waited.to_commit.append((time.perf_counter() - began) * 1000)
    return waited


@contextlib.asynccontextmanager
async def _clients(load: LoneLoad) -> AsyncIterator[tuple[AIOKafkaProducer, Connection]]:
    producing_alone = producing(load.bootstrap_servers, load.topic, linger_ms=0)
    async with connected(load.dsn) as connection, producing_alone as producer:
        yield producer, connection


async def _pause() -> None:
    await asyncio.sleep(random.uniform(*PAUSE_SECONDS))


async def _seen(
    statement: "asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]", of_id: UUID
) -> None:
    async def seen() -> bool:
        return bool(await statement.fetchval(of_id))

    await until(f"{of_id}", seen, pause_seconds=LOOK_SECONDS, limit_seconds=LIMIT_SECONDS)
