"""aiokafka and asyncpg alone: what was read becomes one insert of students, and their messages.

`python -m bench.floors.commands PORT BOOTSTRAP_SERVERS TOPIC EVENTS_TOPIC`

It sends to Kafka what it has inserted: nothing keeps the messages if it dies in between.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson
import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.arrivals import consumer_at_end
from bench.floors.server import FLOOR_DSN, serve

#: As long as the service waits.
WAIT_MS: Final = 100
AT_ONCE: Final = 500

INSERT: Final = """
with made as (
    insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
    select id, owner_id, first_name, last_name, first_name || ' ' || last_name, email
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
        as new (id, owner_id, first_name, last_name, email)
    on conflict do nothing
)
insert into enrollments (class_id, student_id, owner_id)
select * from unnest($6::uuid[], $1::uuid[], $2::text[])
on conflict do nothing
"""

Student = tuple[UUID, str, str, str, str, UUID]


class CommandExecutor:
    """Carries out what it reads, batch by batch."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        connection: "asyncpg.Connection[asyncpg.Record]",
        events_topic: str,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._connection = connection
        self._topic = events_topic

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            found = await self._consumer.getmany(timeout_ms=1000, max_records=AT_ONCE)
            values = [record.value for records in found.values() for record in records]
            if values:
                await self._carry_out(values)

    async def _carry_out(self, values: Iterable[bytes]) -> None:
        students = [student for value in values for student in _students(orjson.loads(value))]
        await self._connection.execute(INSERT, *map(list, zip(*students, strict=True)))
        sent = [
            await self._producer.send(topic, value, key=key, headers=headers)
            for student in students
            for topic, key, value, headers in _messages(student, self._topic)
        ]
        await asyncio.wait(sent)
        for one in sent:
            one.result()


def _students(envelope: dict[str, Any]) -> Iterator[Student]:
    data = envelope["data"]
    for row in data.get("students", (data,)):
        name = row["person_name"]
        yield (
            UUID(row["student_id"]),
            data["user_id"],
            name["first_name"],
            name["last_name"],
            row["email"],
            UUID(data.get("class_id") or row["class_ids"][0]),
        )


def _messages(
    student: Student, events_topic: str
) -> Iterator[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]:
    """Return topic, key, value and headers of the event and of the teacher's notification."""
    student_id, owner, first, last, email, class_id = student
    told = {
        "student_id": student_id,
        "first_name": first,
        "last_name": last,
        "student_email": email,
        "class_ids": [class_id],
        "created_by_user_id": owner,
    }
    for topic, key in ((events_topic, str(student_id)), (f"{events_topic}.notified", owner)):
        event_id, correlation_id, at = uuid4(), uuid4(), datetime.now(UTC)
        envelope = {
            "event_id": event_id,
            "event_type": topic,
            "event_timestamp": at,
            "source_service": "class_management_service",
            "schema_version": 1,
            "correlation_id": correlation_id,
            "data_schema_uri": None,
            "data": {**told, "correlation_id": correlation_id, "timestamp": at},
            "metadata": None,
        }
        headers = [
            ("event_id", str(event_id).encode()),
            ("event_type", topic.encode()),
            ("correlation_id", str(correlation_id).encode()),
            ("content-type", b"application/json"),
        ]
        yield topic, key.encode(), orjson.dumps(envelope), headers


async def main(port: int, servers: str, topic: str, events_topic: str, dsn: str) -> None:
    """Carry out what comes until SIGTERM."""
    consumer = await consumer_at_end(servers, topic, WAIT_MS)
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", linger_ms=2, max_batch_size=256 * 1024
    )
    await producer.start()
    connection = await asyncpg.connect(dsn)
    carrier = CommandExecutor(consumer, producer, connection, events_topic)
    running = asyncio.create_task(carrier.run())
    await serve(web.Application(), port)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await consumer.stop()
    await producer.stop()
    await connection.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], os.environ[FLOOR_DSN]))
