"""The partitions that messages go to, each at its own pace."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer

#: How long a batch is waited for; it stays in flight after that.
PUBLISH_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch on its way, and since when, on the monotonic clock."""

    sent: "asyncio.Future[Any]"
    producer: AIOKafkaProducer
    since: float

    def seconds(self) -> float:
        """Return how long it has been on its way."""
        return time.monotonic() - self.since


class Destination:
    """A partition. Who sends to it takes turns, one batch at a time, so that none overtakes."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic: Final = topic
        self.partition: Final = partition
        self._turn: Final = asyncio.Lock()
        self._flight: Flight | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the others who send to it. Raises TimeoutError."""
        if self._turn.locked():
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._turn.acquire()
        else:
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    def overdue(self) -> Flight | None:
        """Return what somebody has sent and given up waiting for, as long as it may arrive."""
        flight = self._flight
        return None if flight is None or flight.sent.done() else flight

    async def send(self, producer: AIOKafkaProducer, batch: Any) -> None:  # noqa: ANN401
        """Send aiokafka's BatchBuilder; return once the broker has it.

        Raises why it has not: OSError, TimeoutError, KafkaError.
        """
        # An open batch would wait for more messages.
        batch.close()
        async with asyncio.timeout(PUBLISH_SECONDS):
            sent = await producer.send_batch(batch, self.topic, partition=self.partition)
        self._flight = Flight(sent, producer, time.monotonic())
        await asyncio.wait([sent], timeout=PUBLISH_SECONDS)
        if not sent.done():
            sent.add_done_callback(_failure)  # else asyncio logs that nobody asked
            raise TimeoutError
        self._flight = None
        if error := _failure(sent):
            raise error


def _failure(sent: "asyncio.Future[Any]") -> BaseException | None:
    """Return why a batch did not arrive; a producer that stops may cancel those it has not sent."""
    return ConnectionAbortedError() if sent.cancelled() else sent.exception()
