"""The results of many deadlines: how late each was, and batches closed twice."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import uvloop

from bench.database import await_empty_outbox, is_true
from devstack.rig.database import connected
from devstack.rig.kafka_clients import assign_from_start, kafka_consumer, places_of
from devstack.rig.waiting import until
from rules import topics

POLL_SECONDS: Final = 0.2
IDLE_MS: Final = 1000

_NOW: Final = "select clock_timestamp()"
_SETTLED: Final = """
select not exists (select from associations where status = 'pending_validation')
"""
_FIRST: Final = "select min(confirm_by) from associations where status = 'pending_validation'"
_LATENESS: Final = """
select extract(epoch from confirm_by - $1::timestamptz)::float8 as due,
    extract(epoch from validated_at - confirm_by)::float8 as late
from associations where method = 'timeout' and confirm_by >= $1 order by 1
"""
_CLOSED: Final = """
select count(*) from batches where closed_at is not null
    and exists (select from associations where batch_id = batches.id and confirm_by >= $1)
"""


@dataclass(frozen=True)
class TakeoverLoad:
    """The database and the broker."""

    dsn: str
    bootstrap_servers: str
    partitions: int


@dataclass(frozen=True)
class Outcome:
    """`decisions`: how long after the first each was due, and how late it was, in seconds."""

    decisions: Sequence[tuple[float, float]]
    closed_twice: int
    """Batches with more than one confirmed event."""
    missing: int
    """Batches closed without one."""


def first_deadline(load: TakeoverLoad) -> tuple[datetime, float]:
    """Return the first pending deadline, and the seconds until then."""
    return uvloop.run(_first_deadline(load))


async def _first_deadline(load: TakeoverLoad) -> tuple[datetime, float]:
    async with connected(load.dsn) as connection:
        first: datetime = await connection.fetchval(_FIRST)
        return first, (first - await connection.fetchval(_NOW)).total_seconds()


def outcome(load: TakeoverLoad, first: datetime, limit_seconds: float) -> Outcome:
    """Wait until nothing is pending and everything is published; return the results."""
    return uvloop.run(_outcome(load, first, limit_seconds))


async def _outcome(load: TakeoverLoad, first: datetime, limit_seconds: float) -> Outcome:
    async with connected(load.dsn) as connection:
        await until(
            "nothing pending",
            is_true(connection, _SETTLED),
            pause_seconds=POLL_SECONDS,
            limit_seconds=limit_seconds,
        )
        await await_empty_outbox(
            connection, pause_seconds=POLL_SECONDS, limit_seconds=limit_seconds
        )
        rows = await connection.fetch(_LATENESS, first)
        closed = await connection.fetchval(_CLOSED, first)
    events = await _confirmed(load)
    return Outcome(
        [(row["due"], row["late"]) for row in rows],
        sum(1 for count in events.values() if count > 1),
        max(closed - len(events), 0),
    )


async def _confirmed(load: TakeoverLoad) -> Counter[bytes]:
    """Return how many confirmed events, by their ids, each batch has."""
    seen: set[tuple[bytes, bytes]] = set()
    async with kafka_consumer(load.bootstrap_servers) as consumer:
        assign_from_start(consumer, places_of([topics.ASSOCIATIONS_CONFIRMED], load.partitions))
        while found := await consumer.getmany(timeout_ms=IDLE_MS):
            for records in found.values():
                seen |= {(record.key, dict(record.headers)["event_id"]) for record in records}
            await asyncio.sleep(0)
    return Counter(key for key, _ in seen)
