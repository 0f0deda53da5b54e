"""Sends commands and waits for their results, like any other service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from agents.kafka.fetching import fetch_carefully
from class_management.cli.output import Json
from class_management.cli.runner import TroubleError, answering, connect_seconds
from class_management.cli.send.lines import Outgoing
from rules import topics
from rules.errors import reason

OnResult = Callable[[Outgoing, Json], None]

#: The embedded broker answers a waiting fetch only after half of this.
FETCH_WAIT_MS: Final = 100
LINGER_MS: Final = 5


class Exchange:
    """Connections to Kafka, which read results from the end of their topic on."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer | None) -> None:
        self._producer = producer
        self._consumer = consumer

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        """Send commands in order; return once the broker has all of them. Raises TroubleError."""
        sent = []
        for one in outgoing:
            message = one.message
            try:
                future = await self._producer.send(
                    message.topic, message.value, key=message.key, headers=list(message.headers)
                )
            except KafkaError as error:
                raise TroubleError(f"line {one.line} cannot be sent: {reason(error)}") from error
            sent.append(future)
        done = await asyncio.gather(*sent, return_exceptions=True)
        failed = [
            (one, error)
            for one, error in zip(outgoing, done, strict=True)
            if isinstance(error, BaseException)
        ]
        if failed:
            first, cause = failed[0]
            some = f"{len(failed)} of {len(outgoing)} commands, the first in line {first.line},"
            raise TroubleError(f"{some} may not have been sent: {reason(cause)}") from cause

    async def exchange(
        self, outgoing: Sequence[Outgoing], patience: float, on_result: OnResult
    ) -> list[Outgoing]:
        """Send commands and report each result when it arrives.

        Returns the commands without one once all are sent and none arrived for `patience` seconds.
        Raises TroubleError.
        """
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self.send(outgoing))
                return await self._results(outgoing, patience, on_result, sending)
        except* TroubleError as troubles:
            raise TroubleError(str(troubles.exceptions[0])) from None

    async def _results(
        self,
        outgoing: Sequence[Outgoing],
        patience: float,
        on_result: OnResult,
        sending: "asyncio.Task[None]",
    ) -> list[Outgoing]:
        waiting = {one.event_id: one for one in outgoing}
        while waiting:
            try:
                async with asyncio.timeout(patience):
                    result = await self._next_result(waiting)
            except TimeoutError:
                if sending.done():
                    break
            else:
                on_result(waiting.pop(UUID(result["command_id"])), result)
        return list(waiting.values())

    async def _next_result(self, waiting: dict[UUID, Outgoing]) -> Json:
        if self._consumer is None:
            raise AssertionError("results are not read")
        while True:
            record = await self._consumer.getone()
            if record.key is not None and _event_id(record.key) in waiting:
                data: Json = orjson.loads(record.value)["data"]
                return data


@asynccontextmanager
async def connected(kafka: KafkaConfig, *, reading: bool) -> AsyncIterator[Exchange]:
    """Connect to Kafka; with `reading`, for results from now on. Raises TroubleError."""
    options = kafka.client_options()
    producer = AIOKafkaProducer(
        **options,
        client_id="class-management-send",
        acks="all",
        enable_idempotence=not kafka.embedded,
        linger_ms=LINGER_MS,
        request_timeout_ms=round(connect_seconds() * 1000),
        max_request_size=2 * MAX_MESSAGE_BYTES,
    )
    consumer = _consumer(options) if reading else None
    try:
        try:
            async with answering(f"Kafka at {kafka.bootstrap_servers}"):
                await producer.start()
                if consumer is not None:
                    await consumer.start()
                    ends = await consumer.end_offsets(consumer.assignment())
                    for place, end in ends.items():
                        consumer.seek(place, end)
        except UnknownTopicOrPartitionError as error:
            missing = f"topic {topics.COMMAND_RESULTS} is missing"
            raise TroubleError(f"{missing}: class-management topics create") from error
        except (KafkaError, OSError) as error:
            raise TroubleError(f"Kafka at {kafka.bootstrap_servers}: {reason(error)}") from error
        yield Exchange(producer, consumer)
    finally:
        await producer.stop()
        if consumer is not None:
            await consumer.stop()


def _consumer(options: dict[str, Any]) -> AIOKafkaConsumer:
    fetch_carefully()
    return AIOKafkaConsumer(
        topics.COMMAND_RESULTS,
        **options,
        client_id="class-management-send",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )


def _event_id(key: bytes) -> UUID | None:
    try:
        return UUID(key.decode())
    except ValueError:
        return None
