"""Events in the outbox, or sent by a bare producer."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import orjson
import uvloop

from bench import seed
from bench.database import await_empty_outbox, outbox_is_empty
from bench.packing import OPTIONS, Packer
from bench.rig import Process
from devstack.http_client import ask
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_producer
from rules.events import roster
from rules.ids import new_id
from rules.models import (
    Caller,
    NewStudent,
    OutboxMessage,
    PersonName,
    Trace,
)
from store.clock import utc_now

POLL_SECONDS: Final = 0.01
DRAINED_SECONDS: Final = 120.0
#: Events that the bare producer sends before it waits for all of them.
AT_ONCE: Final = 4_000
LOOK_SECONDS: Final = 1.0
LEAST_SECONDS: Final = 3.0
MEMORY_SECONDS: Final = 0.02


@dataclass(frozen=True)
class EventLoad:
    """How many events, in which outbox, and the broker and topic of the bare producer."""

    dsn: str
    bootstrap_servers: str
    topic: str
    count: int


def student_created(count: int) -> list[OutboxMessage]:
    """Return the messages of new students, each with its StudentCreatedV1 only."""
    caller = Caller(seed.OWNER, Trace(new_id()))
    name = PersonName("Đorđe", "Åkerblom", "Đorđe Åkerblom")
    at = utc_now()
    students = [NewStudent(new_id(), name, "elev@skola.example", ()) for _ in range(count)]
    return [message for s in students for message in roster.student_created(caller, s, (), at)]


def drain(load: EventLoad) -> None:
    """Wait until the outbox is empty."""
    uvloop.run(_drain(load))


def wake(port: int) -> None:
    """Make the service commit something, after which it reads the outbox at once."""
    body = orjson.dumps({"name": "Weckruf", "course_codes": ["SV1"]})
    headers = {"X-User-ID": "bench-waker", "Content-Type": "application/json"}
    ask(port, "/v1/classes", method="POST", body=body, headers=headers)


def produce(load: EventLoad) -> float:
    """Send as many events with a bare producer; return the seconds."""
    return uvloop.run(_produce(load))


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


async def _drain(load: EventLoad) -> None:
    async with connected(load.dsn) as connection:
        await await_empty_outbox(
            connection, pause_seconds=POLL_SECONDS, limit_seconds=DRAINED_SECONDS
        )


async def _produce(load: EventLoad) -> float:
    events = student_created(load.count)
    messages = [(load.topic, e.key or b"", e.value or b"", list(e.headers)) for e in events]
    async with kafka_producer(load.bootstrap_servers, **OPTIONS) as producer:
        packer = Packer(producer)
        began = time.perf_counter()
        for start in range(0, load.count, AT_ONCE):
            await packer.send(messages[start : start + AT_ONCE])
        return time.perf_counter() - began
