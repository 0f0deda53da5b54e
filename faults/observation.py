"""Reads all of PostgreSQL, and every topic from its beginning."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from devstack.rig.database import connected
from devstack.rig.kafka import PARTITIONS, REQUEST_MS
from devstack.rig.kafka_clients import assign_from_start, kafka_consumer, places_of
from faults.world import BatchRow, ClassRow, EssayRow, Message, StudentRow, World
from rules import topics
from store.postgres.outbox import unpack_headers
from store.postgres.rows import Row

#: The limit between two records; the length of the whole depends on its size.
SILENT_SECONDS: Final = 60.0
FETCH_BYTES: Final = 4 * 1024 * 1024
ID_LENGTH: Final = 36

CLASSES: Final = """
select id::text, owner_id as owner, name, course_code as course, version from classes
"""
STUDENTS: Final = """
select id::text, owner_id as owner, first_name, last_name, email, version from students
"""
BATCHES: Final = "select id::text, class_id::text, closed_at from batches"
ESSAYS: Final = """
select essay_id::text, batch_id::text, suggested_student_id::text, confidence, student_id::text,
    status, method, validated_by, validated_at, created_at, confirm_by
from associations
"""
SET_ASIDE: Final = """
select topic, id, key, value, headers from outbox_set_aside order by id
"""
PROGRESS: Final = "select topic, partition, max(next_offset) from consumer_progress group by 1, 2"


class ObservationError(Exception):
    """Not everything could be read, so nothing can be concluded."""


async def observe(
    url: str, bootstrap_servers: str, timeout_seconds: float, drift: Mapping[str, int] | None
) -> World:
    """Return the present world; nothing may be under way any more."""
    ends, messages = await read_topics(bootstrap_servers)
    async with connected(url) as connection:
        return World(
            classes={row["id"]: ClassRow(**row) for row in await connection.fetch(CLASSES)},
            students={row["id"]: StudentRow(**row) for row in await connection.fetch(STUDENTS)},
            enrollments=frozenset(
                (str(row[0]), str(row[1]))
                for row in await connection.fetch("select class_id, student_id from enrollments")
            ),
            batches={row["id"]: BatchRow(**row) for row in await connection.fetch(BATCHES)},
            essays={row["essay_id"]: EssayRow(**row) for row in await connection.fetch(ESSAYS)},
            inbox={
                str(row[0]): str(row[1]) if row[1] else None
                for row in await connection.fetch("select id, delivery from inbox")
            },
            outbox=await connection.fetchval("select count(*) from outbox"),
            parked=await connection.fetchval("select count(*) from parked"),
            set_aside=[_set_aside(row) for row in await connection.fetch(SET_ASIDE)],
            progress={(r[0], r[1]): r[2] for r in await connection.fetch(PROGRESS)},
            ends=ends,
            messages=messages,
            drift=drift,
            timeout_seconds=timeout_seconds,
        )


def _set_aside(row: Row) -> Message:
    """Return a message that is in no partition."""
    headers = unpack_headers(row["headers"])
    return Message(row["topic"], -1, row["id"], 0, row["key"], row["value"], headers)


async def read_topics(
    bootstrap_servers: str,
) -> tuple[dict[tuple[str, int], int], dict[str, list[Message]]]:
    """Return the end of each partition of the contract's topics, and all records."""
    places = places_of(topics.ALL, PARTITIONS)
    async with kafka_consumer(
        bootstrap_servers,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        request_timeout_ms=REQUEST_MS,
    ) as consumer:
        assign_from_start(consumer, places)
        ends = await consumer.end_offsets(places)
        found = await _read(consumer, ends)
    read = sum(map(len, found.values()))
    if read != sum(ends.values()):
        raise ObservationError(f"read {read} of {sum(ends.values())} records")
    by_topic: dict[str, list[Message]] = defaultdict(list)
    for place in places:
        by_topic[place.topic] += found.pop(place, ())
    return {(place.topic, place.partition): end for place, end in ends.items()}, dict(by_topic)


async def _read(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Message]]:
    """Read every partition up to its end. Raises `ObservationError` if records are missing."""
    clock = asyncio.get_running_loop().time
    found: defaultdict[TopicPartition, list[Message]] = defaultdict(list)
    shared: dict[tuple[str, bytes], tuple[str, bytes]] = {}
    last = clock()
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for place, records in (await consumer.getmany(timeout_ms=200)).items():
            last = clock()
            found[place] += [
                Message(
                    place.topic,
                    place.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    record.value,
                    tuple(_shared(record.headers, shared)),
                )
                for record in records
                if record.offset < ends[place]
            ]
        if clock() - last > SILENT_SECONDS:
            raise ObservationError(f"nothing more comes after {sum(map(len, found.values()))}")
    return found


def _shared(
    headers: Iterable[tuple[str, bytes]], shared: dict[tuple[str, bytes], tuple[str, bytes]]
) -> Iterable[tuple[str, bytes]]:
    """Intern strings that many records share; not ids, which few do."""
    for header in headers:
        if len(header[1]) == ID_LENGTH:
            yield sys.intern(header[0]), header[1]
        else:
            yield shared.setdefault(header, header)
