"""The least time of a start: importing the libraries and joining the consumer group.

`python -m bench.floors.group_member PORT BOOTSTRAP_SERVERS SESSION_SECONDS GROUP TOPIC...`
"""

import sys

import asyncpg
import faust
import pydantic
import redis.asyncio
import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer

from bench.floors.server import serve

IMPORTED = (asyncpg, faust, pydantic, redis)


async def main(port: int, servers: str, session: float, group: str, topics: list[str]) -> None:
    """Join, then listen until SIGTERM."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=servers,
        group_id=group,
        session_timeout_ms=int(session * 1000),
        heartbeat_interval_ms=int(session * 1000 / 5),
    )
    await consumer.start()
    await serve(web.Application(), port)
    await consumer.stop()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4], sys.argv[5:]))
