"""aiokafka and asyncpg alone: each message read becomes one insert of its rows.

`python -m bench.floors.suggestions PORT BOOTSTRAP_SERVERS TOPIC`
"""

import os
import sys
from typing import Final
from uuid import UUID

import orjson
import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer

from bench.database import Connection
from bench.floors.server import FLOOR_DSN, serve
from devstack.rig.database import connected
from devstack.rig.kafka_clients import tail
from devstack.rig.tasks import background

INSERT: Final = """
with batch as (
    insert into batches (id, class_id, correlation_id) values ($1, $2, $3)
)
insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
    status, confirm_by)
select essay_id, $1, student_id, confidence, array[reason], 'pending_validation',
    now() + interval '24 hours'
from unnest($4::uuid[], $5::uuid[], $6::float8[], $7::text[])
    as new (essay_id, student_id, confidence, reason)
"""


async def store_messages(consumer: AIOKafkaConsumer, connection: Connection) -> None:
    """Store messages until cancelled."""
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                await _insert(connection, record.value)


async def _insert(connection: Connection, value: bytes) -> None:
    envelope = orjson.loads(value)
    data = envelope["data"]
    results = data["match_results"]
    first = [result["suggestions"][0] for result in results]
    await connection.execute(
        INSERT,
        UUID(data["batch_id"]),
        UUID(data["class_id"]),
        UUID(envelope["correlation_id"]),
        [UUID(result["essay_id"]) for result in results],
        [UUID(suggestion["student_id"]) for suggestion in first],
        [suggestion["confidence_score"] for suggestion in first],
        [suggestion["match_reasons"][0] for suggestion in first],
    )


async def main(port: int, servers: str, topic: str, dsn: str) -> None:
    """Store messages until SIGTERM."""
    async with (
        tail(servers, topic) as consumer,
        connected(dsn) as connection,
        background(store_messages(consumer, connection)),
    ):
        await serve(web.Application(), port)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], os.environ[FLOOR_DSN]))
