"""aiokafka and asyncpg alone: one insert of students for each batch, and their messages.

`python -m bench.floors.commands PORT BOOTSTRAP_SERVERS TOPIC EVENTS_TOPIC`

It sends to Kafka after the insert: if it dies in between, the messages are lost.
"""

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.database import Connection
from bench.floors.server import FLOOR_DSN, serve
from bench.kafka import BATCH_BYTES, LINGER_MS
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_producer, tail
from devstack.rig.tasks import background

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
    """Executes commands, batch by batch."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        connection: Connection,
        events_topic: str,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._connection = connection
        self._topic = events_topic

    async def run(self) -> None:
        """Run until cancelled."""
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
    created = {
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
            "data": {**created, "correlation_id": correlation_id, "timestamp": at},
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
    """Execute commands until SIGTERM."""
    options = {"acks": "all", "linger_ms": LINGER_MS, "max_batch_size": BATCH_BYTES}
    async with (
        tail(servers, topic) as consumer,
        kafka_producer(servers, **options) as producer,
        connected(dsn) as connection,
        background(CommandExecutor(consumer, producer, connection, events_topic).run()),
    ):
        await serve(web.Application(), port)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], os.environ[FLOOR_DSN]))
