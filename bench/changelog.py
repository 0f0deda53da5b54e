"""Batches that wait for their deadline, in PostgreSQL and in the changelog of a table."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import uvloop
from aiokafka import AIOKafkaProducer

from agents.kafka.partitioner import partitioning
from bench import seed
from bench.kafka import BATCH_BYTES
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_consumer, kafka_producer, places_of
from tables.codec import TimerEntry, key_of, pack

ROWS_AT_ONCE: Final = 50_000
READ_SECONDS: Final = 120.0
IDLE_MS: Final = 500

_MAKE: Final = """
with made as (
    insert into batches (id, class_id, correlation_id)
    select gen_random_uuid(), $1, gen_random_uuid() from generate_series(1, $3)
    returning id
)
insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
    status, confirm_by)
select gen_random_uuid(), made.id, $2, 0.92, '{email_exact}', 'pending_validation',
    now() + make_interval(secs => $4) + random() * make_interval(secs => $5)
from made
"""
_ALL: Final = """
select batch_id, min(confirm_by) as confirm_by from associations
where status = 'pending_validation' group by batch_id
"""
_FORGET: Final = """
with gone as (
    delete from associations where status = 'pending_validation' returning batch_id
)
delete from batches where id in (select batch_id from gone)
"""


@dataclass(frozen=True)
class ChangelogLoad:
    """How many batches of one essay, and in which database."""

    dsn: str
    bootstrap_servers: str
    changelog: str
    partitions: int
    count: int
    first_seconds: float = 1800.0
    """From now to the first deadline."""
    spread_seconds: float = 24 * 3600.0
    """From the first deadline to the last."""


def fill(load: ChangelogLoad) -> None:
    """Create pending batches, the only ones, and put their entries into the changelog."""
    uvloop.run(_fill(load))


def read(load: ChangelogLoad) -> float:
    """Read and discard the changelog; return the seconds."""
    return uvloop.run(_read(load))


async def _fill(load: ChangelogLoad) -> None:
    async with connected(load.dsn) as connection:
        await connection.execute(_FORGET)  # pending batches of another case
        ids = (seed.class_id(0), seed.student_id(0))
        deadlines = (load.first_seconds, load.spread_seconds)
        await connection.execute(_MAKE, *ids, load.count, *deadlines)
        await connection.execute("analyze associations, batches")
        rows = await connection.fetch(_ALL)
    await _produce(load, [(row["batch_id"], row["confirm_by"]) for row in rows])


async def _produce(load: ChangelogLoad, batches: Sequence[tuple[UUID, datetime]]) -> None:
    by_partition: dict[int, list[TimerEntry]] = {p: [] for p in range(load.partitions)}
    partition_of = partitioning(load.partitions).of
    for batch_id, confirm_by in batches:
        entry = TimerEntry(batch_id, seed.class_id(0), 1, confirm_by, confirm_by)
        by_partition[partition_of(batch_id)].append(entry)
    options = {"acks": "all", "max_batch_size": BATCH_BYTES}
    async with kafka_producer(load.bootstrap_servers, **options) as producer:
        for partition, entries in by_partition.items():
            await _produce_partition(producer, load, partition, entries)
        await producer.flush()


async def _produce_partition(
    producer: AIOKafkaProducer, load: ChangelogLoad, partition: int, entries: Sequence[TimerEntry]
) -> None:
    for batch in _batches(producer, entries, load.partitions):
        await producer.send_batch(batch, load.changelog, partition=partition)


def _batches(
    producer: AIOKafkaProducer, entries: Sequence[TimerEntry], partitions: int
) -> Iterator[object]:
    batch = producer.create_batch()
    for entry in entries:
        key, value = key_of(entry.batch_id), pack(entry, partitions)
        if batch.append(key=key, value=value, timestamp=None) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        yield batch


async def _read(load: ChangelogLoad) -> float:
    places = places_of([load.changelog], load.partitions)
    async with kafka_consumer(load.bootstrap_servers) as consumer:
        began = time.monotonic()
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        records = 0
        async with asyncio.timeout(READ_SECONDS):
            while records < load.count:
                found = await consumer.getmany(timeout_ms=IDLE_MS)
                records += sum(map(len, found.values()))
        return time.monotonic() - began
