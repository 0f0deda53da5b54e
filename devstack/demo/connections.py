"""The connections of the demo, open for the length of a day."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer

from devstack.demo.addresses import Addresses
from devstack.demo.afternoon import WholeDay
from devstack.demo.arrivals import ARRIVAL_SECONDS
from devstack.demo.calls import Calls
from devstack.demo.day import Day
from devstack.demo.errors import HOW_TO_START, DemoError
from devstack.demo.events import READ, Event
from devstack.demo.stage import Stage
from devstack.rig.http import Http
from devstack.rig.kafka_clients import kafka_producer, tail
from devstack.rig.redis import subscribed
from devstack.rig.tasks import background


@asynccontextmanager
async def opened(stage: Stage, addresses: Addresses) -> AsyncIterator[Day]:
    """Connect to everything and listen; what arrives is added to the day.

    Raises `DemoError` when the service does not answer.
    """
    teacher_id = f"teacher-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        http = Http(session, addresses.port, addresses.host, ARRIVAL_SECONDS)
        await _check_ready(http, addresses)
        producer = await stack.enter_async_context(kafka_producer(addresses.kafka))
        calls = Calls(http, teacher_id, addresses.internal_api_key)
        day = WholeDay(stage, calls, producer, teacher_id)
        await stack.enter_async_context(subscribed(addresses.redis, teacher_id, day.hear_browser))
        consumer = await stack.enter_async_context(tail(addresses.kafka, *READ, silence_ms=0))
        await stack.enter_async_context(background(_hear_others(consumer, day)))
        yield day


async def _check_ready(http: Http, addresses: Addresses) -> None:
    try:
        reply = await http.send("GET", "/readyz")
        if reply.status == HTTPStatus.OK:
            return
        reason = f"GET /readyz answers {reply.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
    raise DemoError(f"no service at {addresses.http} ({reason}): {HOW_TO_START}")


async def _hear_others(consumer: AIOKafkaConsumer, day: Day) -> None:
    """Read the events about the day's teacher or batch, as other services do."""
    ours = (day.teacher_id.encode(), day.batch_id.encode())
    async for record in consumer:
        if record.value and any(mark in record.value for mark in ours):
            headers = {name: value.decode() for name, value in record.headers}
            key = (record.key or b"").decode()
            await day.others.add(Event(record.topic, key, headers, orjson.loads(record.value)))
