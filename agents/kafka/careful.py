"""Finds out which messages the broker refuses for good."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka.lines import Line
from agents.kafka.parcels import Parcel, packed_alone
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


async def send_singly(
    producer: LazyProducer,
    messages: Sequence[OutboxMessage],
    line: Line,
    parcels: Sequence[Parcel],
    known: Refusal,
) -> None:
    """Send the rest of a line message by message, with a producer that is not idempotent.

    A refusal spoils nothing that follows there. `known`: why the first parcel is refused. Raises
    why something else did not arrive.
    """
    held: set[bytes | None] = set()
    alone = parcels[0].positions[0] if len(parcels[0].positions) == 1 else None
    for parcel in parcels:
        for position in parcel.positions:
            key = messages[position].key
            if key in held:
                line.refuse(position, None)
                continue
            refusal = known if position == alone else None
            refusal = refusal or await _refusal(producer, messages[position], position, line)
            if refusal is None:
                line.settled += 1
                continue
            line.refuse(position, refusal)
            held |= {key} - {None}


async def _refusal(
    producer: LazyProducer, message: OutboxMessage, position: int, line: Line
) -> Refusal | None:
    """Send a message; return why the broker refuses it, None if it arrived."""
    started = await producer.get()
    parcel = packed_alone(started, position, message)
    if parcel.batch is None:
        return Refusal.TOO_LARGE
    try:
        await line.destination.send(started, parcel.batch)
    except KafkaError as error:
        if refusal := refusal_of(error):
            return refusal
        raise
    return None
