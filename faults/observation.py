"""Reads all of PostgreSQL, and every topic from its beginning."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from devstack.rig.database import connected
from devstack.rig.kafka import PARTITIONS, REQUEST_MS
from devstack.rig.kafka_clients import assign_from_start, kafka_consumer, places_of
from faults.checker.index import grouped
from faults.history import Undecodable
from faults.told import Told
from faults.world import (
    BatchRow,
    ClassRow,
    DecisionRow,
    EssayRow,
    Message,
    StudentRow,
    World,
)
from rules import topics
from store.postgres.packs import unpack_headers
from store.postgres.rows import Row

#: The limit between two records; the length of the whole depends on its size.
SILENT_SECONDS: Final = 60.0
FETCH_BYTES: Final = 4 * 1024 * 1024
ID_LENGTH: Final = 36

CLASSES: Final = """
select id::text, owner_id as owner, name, course_code as course, version from classes
"""
STUDENTS: Final = """
select id::text, owner_id as owner, first_name, last_name, email, version, is_placeholder
from students
"""
BATCHES: Final = "select id::text, class_id::text, closed_at from batches"
ESSAYS: Final = """
select essay_id::text, batch_id::text, suggested_student_id::text, confidence, student_id::text,
    status, method, validated_by, validated_at, created_at, confirm_by
from associations
"""
HISTORY: Final = """
select essay_id::text, student_id::text, status, method, validated_by, validated_at
from association_history order by essay_id, number
"""
#: Each key of the harness is unique, whoever sends it.
KEYS: Final = "select key, status from idempotency_keys"
SET_ASIDE: Final = """
select topic, id, key, value, headers from outbox_set_aside order by id
"""
PROGRESS: Final = "select topic, partition, max(next_offset) from consumer_progress group by 1, 2"


#: aiokafka has no types.
Record: TypeAlias = Any
Shared: TypeAlias = dict[tuple[str, bytes], tuple[str, bytes]]


class ObservationError(Exception):
    """Not everything could be read, so nothing can be concluded."""


@dataclass(frozen=True)
class Log:
    """Kafka, and what of its topics is no message: damaged places, the marks of transactions."""

    bootstrap_servers: str
    undecodable: Sequence[Undecodable] = ()
    transactions: bool = False

    def damaged_in(self, place: TopicPartition) -> set[int]:
        """Return the offsets of a partition at which damaged record batches begin."""
        here = (place.topic, place.partition)
        return {one.offset for one in self.undecodable if (one.topic, one.partition) == here}


async def observe(
    url: str,
    log: Log,
    timeout_seconds: float,
    drift: Mapping[str, int] | None,
    told: Told | None = None,
) -> World:
    """Return the present world; nothing may be under way any more."""
    ends, messages = await read_topics(log)
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
            history=grouped(
                (row["essay_id"], DecisionRow(**row)) for row in await connection.fetch(HISTORY)
            ),
            inbox={
                str(row[0]): str(row[1]) if row[1] else None
                for row in await connection.fetch("select id, delivery from inbox")
            },
            keys={row[0]: row[1] for row in await connection.fetch(KEYS)},
            outbox=await connection.fetchval("select count(*) from outbox"),
            parked=await connection.fetchval("select count(*) from parked"),
            set_aside=[_set_aside(row) for row in await connection.fetch(SET_ASIDE)],
            progress={(r[0], r[1]): r[2] for r in await connection.fetch(PROGRESS)},
            ends=ends,
            messages=messages,
            drift=drift,
            timeout_seconds=timeout_seconds,
            told=told,
        )


def _set_aside(row: Row) -> Message:
    """Return a message that is in no partition."""
    headers = unpack_headers(row["headers"])
    return Message(row["topic"], -1, row["id"], 0, row["key"], row["value"], headers)


async def read_topics(
    log: Log,
) -> tuple[dict[tuple[str, int], int], dict[str, list[Message]]]:
    """Return the end of each partition of the contract's topics, and all committed records."""
    places = places_of(topics.ALL, PARTITIONS)
    async with kafka_consumer(
        log.bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        request_timeout_ms=REQUEST_MS,
    ) as consumer:
        assign_from_start(consumer, places)
        ends = await consumer.end_offsets(places)
        damaged = {place: holes for place in places if (holes := log.damaged_in(place))}
        sound = {place: end for place, end in ends.items() if place not in damaged}
        assign_from_start(consumer, sound)
        found = await _read(consumer, sound)
        for place, holes in damaged.items():
            assign_from_start(consumer, [place])
            found[place] = await _read_around(consumer, place, ends[place], holes)
    read = sum(map(len, found.values())) + sum(map(len, damaged.values()))
    if read != sum(ends.values()) and not log.transactions:
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
    shared: Shared = {}
    last = clock()
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for place, records in (await consumer.getmany(timeout_ms=200)).items():
            last = clock()
            found[place] += [
                _message(record, shared) for record in records if record.offset < ends[place]
            ]
        if clock() - last > SILENT_SECONDS:
            raise ObservationError(f"nothing more comes after {sum(map(len, found.values()))}")
    return found


async def _read_around(
    consumer: AIOKafkaConsumer, place: TopicPartition, end: int, holes: AbstractSet[int]
) -> list[Message]:
    """Read a partition record by record, and pass over what was damaged.

    An error loses what was fetched with it, so nothing else is fetched. Raises what a decoder
    raises elsewhere, and TimeoutError.
    """
    found: list[Message] = []
    shared: Shared = {}
    async with asyncio.timeout(SILENT_SECONDS):
        while await consumer.position(place) < end:
            try:
                fetched = await consumer.getmany(place, timeout_ms=200, max_records=1)
            except Exception:  # whatever a decoder raises
                position = await consumer.position(place)
                if position not in holes:
                    raise
                consumer.seek(place, position + 1)
                continue
            records = fetched.get(place, ())
            found += [_message(record, shared) for record in records if record.offset < end]
    return found


def _message(record: Record, shared: Shared) -> Message:
    return Message(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(_shared(record.headers, shared)),
    )


def _shared(headers: Iterable[tuple[str, bytes]], shared: Shared) -> Iterable[tuple[str, bytes]]:
    """Intern strings that many records share; not ids, which few do."""
    for header in headers:
        if len(header[1]) == ID_LENGTH:
            yield sys.intern(header[0]), header[1]
        else:
            yield shared.setdefault(header, header)
