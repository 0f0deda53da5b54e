"""Events in the outbox, or sent by a bare producer."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import orjson
import uvloop

from bench import seed
from bench.database import await_empty_outbox, outbox_is_empty
from bench.kafka import BATCH_BYTES, LINGER_MS
from bench.rig import Process
from devstack.http_client import ask
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_producer
from rules.events import roster
from rules.ids import new_id
from rules.models import (
    Caller,
    ClassSummary,
    NewClass,
    NewStudent,
    OutboxMessage,
    PersonName,
    Trace,
)
from store.clock import utc_now
from store.postgres import packs, sql

POLL_SECONDS: Final = 0.01
DRAINED_SECONDS: Final = 120.0
FILL_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 1.0
LEAST_SECONDS: Final = 3.0
MEMORY_SECONDS: Final = 0.02

#: The keys do not match the shards: it only matters that all shards have as many, in packs of
#: eight.
_FILL_SQL: Final = """
insert into outbox_packs (shard, messages, content)
select n % 16, count(*),
    string_agg(outbox_piece($2, convert_to(md5(n::text), 'UTF8'), $3, $4), '' order by n)
from generate_series(1, $1) as n group by n / 128, n % 16 order by n / 128
"""


@dataclass(frozen=True)
class EventLoad:
    """How many events, and in which outbox."""

    dsn: str
    port: int
    """Of the service."""
    bootstrap_servers: str
    topic: str
    """The broker of the bare producer."""
    count: int


def student_created(count: int) -> list[OutboxMessage]:
    """Return the messages of new students, each with its StudentCreatedV1 only."""
    caller = Caller(seed.OWNER, Trace(new_id()))
    name = PersonName("Đorđe", "Åkerblom", "Đorđe Åkerblom")
    at = utc_now()
    students = [NewStudent(new_id(), name, "elev@skola.example", ()) for _ in range(count)]
    return [message for s in students for message in roster.student_created(caller, s, (), at)]


def messages_of_one(new: NewStudent) -> list[OutboxMessage]:
    """Return the messages of a student that joins the growing class."""
    cls = ClassSummary(seed.GROWING_CLASS, seed.OWNER, "Växande klass", "SV1")
    return roster.student_created(Caller(seed.OWNER, Trace(new_id())), new, [cls], utc_now())


def messages_of_class() -> list[OutboxMessage]:
    """Return the messages of a new class."""
    new = NewClass(new_id(), "Klass 0123456789ab", "SV1")
    return roster.class_created(Caller(seed.OWNER, Trace(new_id())), new, utc_now())


def relay(load: EventLoad) -> float:
    """Fill the outbox, wake the service; return the seconds until the outbox is empty."""
    return uvloop.run(_relay(load))


def produce(load: EventLoad) -> tuple[float, float]:
    """Send the same events with a bare producer; return the seconds, and those of CPU."""
    return uvloop.run(_produce(load))


def fill(dsn: str, topic: str, count: int) -> None:
    """Put events into the outbox, over all shards, as large as a new student's."""
    uvloop.run(_fill(dsn, topic, count))


def watch(dsn: str, worker: Process) -> tuple[float, float]:
    """Return a worker's peak memory until the outbox is empty (MiB), and the seconds.

    It is sampled for at least `LEAST_SECONDS`.
    """
    began = time.perf_counter()
    peak = 0.0
    while True:
        look_until = time.perf_counter() + LOOK_SECONDS
        while time.perf_counter() < look_until:
            peak = max(peak, worker.memory_mib)
            time.sleep(MEMORY_SECONDS)
        seconds = time.perf_counter() - began
        if seconds > LEAST_SECONDS and asyncio.run(_is_empty(dsn)):
            return peak, seconds


async def _is_empty(dsn: str) -> bool:
    async with connected(dsn) as connection:
        return await outbox_is_empty(connection)


async def _fill(dsn: str, topic: str, count: int) -> None:
    [message] = student_created(1)
    packed = packs.pack_headers(message.headers)
    async with connected(dsn) as connection:
        await connection.execute(
            _FILL_SQL, count, topic, message.value, packed, timeout=FILL_SECONDS
        )


async def _relay(load: EventLoad) -> float:
    messages = student_created(load.count)
    async with connected(load.dsn) as connection:
        await connection.execute(sql.INSERT_PACKS, *packs.packed(messages))
        began = time.perf_counter()
        _wake(load.port)
        await await_empty_outbox(
            connection, pause_seconds=POLL_SECONDS, limit_seconds=DRAINED_SECONDS
        )
        return time.perf_counter() - began


def _wake(port: int) -> None:
    """Make the service commit something, after which it reads the outbox at once."""
    body = orjson.dumps({"name": "Weckruf", "course_codes": ["SV1"]})
    headers = {"X-User-ID": "bench-waker", "Content-Type": "application/json"}
    ask(port, "/v1/classes", method="POST", body=body, headers=headers)


async def _produce(load: EventLoad) -> tuple[float, float]:
    messages = student_created(load.count)
    options = {"acks": "all", "linger_ms": LINGER_MS, "max_batch_size": BATCH_BYTES}
    async with kafka_producer(load.bootstrap_servers, **options) as producer:
        await producer.partitions_for(load.topic)
        began, cpu = time.perf_counter(), time.process_time()
        sent = [
            await producer.send(load.topic, m.value, key=m.key, headers=list(m.headers))
            for m in messages
        ]
        await asyncio.gather(*sent)
        return time.perf_counter() - began, time.process_time() - cpu
