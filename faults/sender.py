"""Writes to the consumed topics, and records what is known about each message."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from devstack.rig.envelopes import COMMANDS, Json, envelope
from devstack.rig.kafka import REQUEST_MS
from faults.history import Headers, History, Op, Sent

#: The topic of the rows that flood the outbox: only the checker reads it.
FLOOD: Final = "outbox.flood"
FLOOD_TOPIC: Final = "huleedu.class.validation.timeout.processed.v1"
#: Kinds of operations that are not called as their commands are.
COMMAND_OF: Final = {"student.join": "student.create", "roster.join": "roster.register"}
LARGEST_REQUEST: Final = 16 * 1024 * 1024
WAIT_SECONDS: Final = 0.25


@dataclass
class Sender:
    """Other services, as this one sees them."""

    producer: AIOKafkaProducer
    history: History
    clock: Callable[[], float]
    most_waiting: int = 1_000
    """The limit of commands without a result: a backlog, as when PostgreSQL is away, has to be
    processed before the service counts as recovered."""
    waiting: set[str] = field(default_factory=set)
    """The correlation ids of commands whose results have not been seen yet."""
    acked_at: float = 0.0
    """When Kafka last accepted a message."""

    async def await_capacity(self) -> None:
        """Wait until another command may be sent."""
        # Polled, so that the reader of the results need not know the waiting senders.
        while len(self.waiting) >= self.most_waiting:  # noqa: ASYNC110
            await asyncio.sleep(WAIT_SECONDS)

    async def write(self, sent: Sent, partition: int | None = None) -> Sent:
        """Write a message that has been recorded; it may be lost."""
        try:
            await self.producer.send_and_wait(
                sent.topic,
                sent.value,
                key=sent.key,
                headers=list(sent.headers),
                partition=partition,
            )
        except KafkaError:
            return sent
        sent.acked = True
        self.acked_at = self.clock()
        return sent

    async def message(
        self,
        topic: str,
        key: str,
        envelope: Mapping[str, Any],
        *,
        headers: Headers = (),
        partition: int | None = None,
    ) -> Sent:
        """Write a message of the contract."""
        sent = Sent(
            topic,
            key.encode(),
            # A copy, since the result of orjson keeps the whole buffer it was written to.
            bytes(memoryview(orjson.dumps(envelope))),
            headers,
            self.clock(),
            op_id=envelope["correlation_id"],
            event_id=envelope["event_id"],
        )
        return await self.write(self.history.send(sent), partition)

    async def command(
        self,
        kind: str,
        user: str,
        body: Mapping[str, Any],
        target: str | None,
        *,
        partition: int | None = None,
        times: int = 1,
    ) -> Op | None:
        """Send a command, perhaps more than once under the same event id.

        Return the operation if Kafka acknowledged it; None if that is unknown.
        """
        name = COMMAND_OF.get(kind, kind)
        envelope = enveloped(COMMANDS, {"command": name, "user_id": user, **body})
        op = Op(envelope["correlation_id"], kind, user, target, body, self.clock(), over_kafka=True)
        self.history.op(op)
        self.waiting.add(op.id)
        written = [
            await self.message(COMMANDS, user, envelope, partition=partition) for _ in range(times)
        ]
        if any(sent.acked for sent in written):
            return op
        self.waiting.discard(op.id)
        return None


def producer(bootstrap_servers: str) -> AIOKafkaProducer:
    """Return a producer with long timeouts."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        request_timeout_ms=REQUEST_MS,
        max_request_size=LARGEST_REQUEST,
        linger_ms=0,
    )


def enveloped(topic: str, data: Mapping[str, Any]) -> Json:
    """Return a copy of data, as after JSON, in an envelope."""
    copy = orjson.loads(orjson.dumps(data))
    return envelope(topic, copy, "fault_harness", at="2026-11-20T08:15:30Z")


async def started(client: AIOKafkaProducer) -> AIOKafkaProducer:
    """Start a producer; retry until the broker is available."""
    while True:
        try:
            await client.start()
        except KafkaError:
            await asyncio.sleep(0.5)
        else:
            return client
