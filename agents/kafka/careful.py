"""Finds out which messages the broker refuses for good."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka.parcels import InFlight, Parcel, Place, packed_alone
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
        """Return the producer."""
        async with self._starting:
            if self.started is None:
                self.started = await self._start()
            return self.started


async def send_singly(
    producer: LazyProducer,
    messages: Sequence[OutboxMessage],
    places: Iterable[Sequence[Parcel]],
    in_flight: InFlight,
) -> dict[int, Refusal | None]:
    """Send message by message what has not arrived, with a producer that is not idempotent.

    Returns what is refused, and None for later ones of its topic and key. Raises why something
    else did not arrive, once all have ended.
    """
    late = [[parcel for parcel in parcels if not parcel.has_arrived] for parcels in places]
    searches = [_Search(producer, messages, parcels, in_flight) for parcels in late]
    ended = await asyncio.gather(*(s.run() for s in searches), return_exceptions=True)
    for error in ended:
        if error:
            raise error
    return {position: why for search in searches for position, why in search.unsent.items()}


class _Search:
    """Sends the messages of one partition, in order."""

    def __init__(
        self,
        producer: LazyProducer,
        messages: Sequence[OutboxMessage],
        parcels: Sequence[Parcel],
        in_flight: InFlight,
    ) -> None:
        self._producer = producer
        self._messages = messages
        self._parcels = parcels
        self._in_flight = in_flight
        self._held: set[bytes] = set()
        self.unsent: dict[int, Refusal | None] = {}

    async def run(self) -> None:
        for parcel in self._parcels:
            known = refusal_of(parcel.error) if len(parcel.positions) == 1 else None
            for position in parcel.positions:
                await self._send(parcel, position, known)

    async def _send(self, parcel: Parcel, position: int, known: Refusal | None) -> None:
        message = self._messages[position]
        if message.key in self._held:
            self.unsent[position] = None
            return
        refusal = known or await self._refusal(parcel.place, position)
        if refusal is None:
            return
        self.unsent[position] = refusal
        if message.key is not None:
            self._held.add(message.key)

    async def _refusal(self, place: Place, position: int) -> Refusal | None:
        """Send a message; return why the broker refuses it, None if it arrived."""
        producer = await self._producer.get()
        parcel = packed_alone(producer, place, position, self._messages[position])
        try:
            await parcel.send(producer, self._in_flight)
            await parcel.arrival()
        except KafkaError as error:
            if refusal := refusal_of(error):
                return refusal
            raise
        finally:
            if parcel.sent is not None and parcel.sent.done():
                self._in_flight.discard(parcel.sent)
        return None
