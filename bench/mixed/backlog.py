"""The backlog: everything that was requested and is not done."""

from http import HTTPStatus
from typing import Final

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.database import waiting
from bench.http_load import LoadError
from rules import topics

TABLES: Final = "/internal/v1/tables"
READ: Final = (*topics.CONSUMED, topics.TIMERS)

_STORE: Final = """
select (select count(*) from parked) as "parked messages",
    (select count(*) from associations where status = 'pending_validation')
        as "undecided associations",
    (select count(*) from batches where closed_at is null) as "open batches"
"""


async def in_store(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """Return the backlog in the database."""
    others = dict(await connection.fetchrow(_STORE) or {})
    return {"rows in the outbox": await waiting(connection), **others}


async def in_table(session: aiohttp.ClientSession, headers: dict[str, str]) -> dict[str, int]:
    """Return how many timers are set. Raises LoadError if the service does not answer."""
    async with session.get(TABLES, headers=headers) as answer:
        body = await answer.json()
    if answer.status != HTTPStatus.OK:
        raise LoadError(str(body))
    return {"timers": sum(table["entries"] for table in body["tables"])}


async def unread(consumer: AIOKafkaConsumer, partitions: int) -> dict[str, int]:
    """Return how many messages of each topic the consumer's group has not committed.

    The embedded broker may report the end of a log too early, never too late.
    """
    lag = {}
    for topic in READ:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        ends = await consumer.end_offsets(places)
        behind = [ends[place] - (await consumer.committed(place) or 0) for place in places]
        lag[f"unread messages of {topic}"] = sum(max(one, 0) for one in behind)
    return lag
