"""The relay's producer in use: it is replaced where it cannot go on, and no stop of one hangs."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain
from typing import Final

from aiokafka import AIOKafkaProducer

#: How long a producer may take to start.
START_SECONDS: Final = 10.0
#: How long a producer that stops has for what it has still to send.
STOP_SECONDS: Final = 10.0
CANCEL_AGAIN_SECONDS: Final = 0.2
MOST_CANCELS: Final = 50


class Producers:
    """Gives out one producer, until it is replaced.

    One that has been replaced stops once nobody uses it any more: aiokafka's, while it stops, takes
    batches that it never sends, and its metadata never arrives.
    """

    def __init__(self, create: Callable[[], AIOKafkaProducer]) -> None:
        self._create = create
        self._current: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._users: Counter[AIOKafkaProducer] = Counter()
        self._stopping: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def using(self) -> AsyncIterator[AIOKafkaProducer]:
        """Use the current producer. Raises what keeps one from starting."""
        producer = await self._started()
        self._users[producer] += 1
        try:
            yield producer
        finally:
            self._users[producer] -= 1
            self._stop_unused(producer)

    def replace(self, producer: AIOKafkaProducer) -> bool:
        """Make the next user get a new producer; False if somebody has replaced it already."""
        if producer is not self._current:
            return False
        self._current = None
        self._stop_unused(producer)
        return True

    def stop(self, producer: AIOKafkaProducer) -> None:
        """Stop a producer, without waiting for it."""
        stopping = asyncio.create_task(stop(producer))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def close(self) -> None:
        """Stop the current producer."""
        current, self._current = self._current, None
        if current is not None:
            await stop(current)

    def _stop_unused(self, producer: AIOKafkaProducer) -> None:
        if producer is not self._current and not self._users[producer]:
            del self._users[producer]
            self.stop(producer)

    async def _started(self) -> AIOKafkaProducer:
        if self._current is not None:
            return self._current
        async with self._starting:
            if self._current is None:
                producer = await start(self._create())
                # No batch may expire: the next one would overtake it.
                producer._message_accumulator._batch_ttl = math.inf  # noqa: SLF001
                self._current = producer
            return self._current


async def start(producer: AIOKafkaProducer) -> AIOKafkaProducer:
    """Start a producer. Raises OSError, TimeoutError and KafkaError."""
    try:
        async with asyncio.timeout(START_SECONDS):
            await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer; what it has not sent in time fails, and is not sent any more.

    aiokafka's own stop waits for good for a broker that is away, and leaves batches that nobody
    will send, whose futures never end.
    """
    stopping = asyncio.create_task(producer.stop())
    await asyncio.wait([stopping], timeout=STOP_SECONDS)
    for _ in range(MOST_CANCELS):
        if stopping.done():
            break
        # It ends once each of its requests has been cancelled, one at a time.
        producer._sender.sender_task.cancel()  # noqa: SLF001
        await asyncio.wait([stopping], timeout=CANCEL_AGAIN_SECONDS)
    if stopping.cancel() or stopping.cancelled() or stopping.exception():
        await producer.client.close()
    _fail_all(producer)


def _fail_all(producer: AIOKafkaProducer) -> None:
    accumulator = producer._message_accumulator  # noqa: SLF001
    waiting = list(chain.from_iterable(accumulator._batches.values()))  # noqa: SLF001
    # Of one that waits to be sent once more aiokafka's callback looks for it here, in vain.
    accumulator._pending_batches.update(waiting)  # noqa: SLF001
    accumulator.fail_all(ConnectionAbortedError())
    for batch in waiting:
        batch._drain_waiter.exception()  # noqa: SLF001  # else asyncio logs that nobody asked
