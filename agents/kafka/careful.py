"""Finds out which messages the broker refuses for good."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka.lines import Line
from agents.kafka.parcels import Parcel, packed_together
from agents.kafka.refusals import refusal_of
from rules.models import OutboxMessage
from store.protocols.outbox import Refusal


class LazyProducer:
    """A producer that is started when it is first needed."""

    def __init__(self, start: Callable[[], Awaitable[AIOKafkaProducer]]) -> None:
        self._start: Final = start
        self._starting: Final = asyncio.Lock()
        self.started: AIOKafkaProducer | None = None

    async def get(self) -> AIOKafkaProducer:
        """Return the producer. Raises OSError, TimeoutError and KafkaError."""
        async with self._starting:
            if self.started is None:
                self.started = await self._start()
            return self.started


async def send_rest(
    producer: LazyProducer,
    messages: Sequence[OutboxMessage],
    line: Line,
    parcels: Sequence[Parcel],
    known: Refusal,
) -> None:
    """Send the rest of a line with a producer that is not idempotent.

    A refusal spoils nothing that follows there. What the broker refuses together goes message by
    message. `known`: why the first parcel is refused. Raises why something else did not arrive.
    """
    held: set[bytes | None] = set()
    refusal: Refusal | None = known
    for parcel in parcels:
        free = [position for position in parcel.positions if messages[position].key not in held]
        if parcel is not parcels[0]:
            refusal = await _refusal(producer, [messages[position] for position in free], line)
        for position in parcel.positions:
            message = messages[position]
            if message.key in held:
                line.refuse(position, None)
                continue
            reason = refusal
            if reason and len(free) > 1:
                reason = await _refusal(producer, [message], line)
            if reason is None:
                line.settled += 1
                continue
            line.refuse(position, reason)
            held |= {message.key} - {None}


async def _refusal(
    producer: LazyProducer, messages: Sequence[OutboxMessage], line: Line
) -> Refusal | None:
    """Send messages together; return why the broker refuses them, None if they arrived."""
    if not messages:
        return None
    started = await producer.get()
    batch = packed_together(started, messages)
    if batch is None:
        return Refusal.TOO_LARGE
    try:
        await line.destination.send(started, batch)
    except KafkaError as error:
        if refusal := refusal_of(error):
            return refusal
        raise
    return None
