"""How long messages wait while workers start and end."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from bench.suggestions import TOPIC, Batch
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.waiting import until

POLL_SECONDS: Final = 0.2
STORED_SECONDS: Final = 120.0

_NOW: Final = "select extract(epoch from clock_timestamp())::float8"
_STORED: Final = """
select id, extract(epoch from created_at)::float8 as at from batches where id = any($1::uuid[])
"""


@dataclass(frozen=True)
class HandoverLoad:
    """Single messages at an even rate for some time."""

    dsn: str
    bootstrap_servers: str
    per_second: int
    seconds: float


def delays(load: HandoverLoad) -> list[tuple[float, float]]:
    """Return when each message was sent, and how long until it was stored, in seconds."""
    return uvloop.run(_delays(load))


async def _delays(load: HandoverLoad) -> list[tuple[float, float]]:
    async with connected(load.dsn) as connection:
        began = await connection.fetchval(_NOW)
        sent = await _send(load)
        ids = [batch.id for _, batch in sent]

        async def all_stored() -> bool:
            return len(await connection.fetch(_STORED, ids)) == len(ids)

        await until(
            "all batches to be stored",
            all_stored,
            pause_seconds=POLL_SECONDS,
            limit_seconds=STORED_SECONDS,
        )
        at = {row["id"]: row["at"] - began for row in await connection.fetch(_STORED, ids)}
        return [(sent_at, at[batch.id] - sent_at) for sent_at, batch in sent]


async def _send(load: HandoverLoad) -> Sequence[tuple[float, Batch]]:
    sent: list[tuple[float, Batch]] = []
    async with kafka_producer(load.bootstrap_servers) as producer:
        began = time.monotonic()
        for number in range(int(load.seconds * load.per_second)):
            await asyncio.sleep(max(began + number / load.per_second - time.monotonic(), 0))
            batch = Batch(number, 1)
            sent.append((time.monotonic() - began, batch))
            await producer.send(TOPIC, batch.value, key=batch.key)
        await producer.flush()
    return sent
