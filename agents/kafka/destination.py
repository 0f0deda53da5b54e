"""The partitions that messages go to, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaProducer

#: How long a batch is waited for; it stays on its way after that.
PUBLISH_SECONDS: Final = 10.0
#: What has not arrived so long after that has been forgotten, whatever the reason.
STUCK_SECONDS: Final = 20.0


class Destination:
    """A partition. Who sends to it takes turns, one batch at a time, so that none overtakes."""

    def __init__(
        self, topic: str, partition: int, stuck: Callable[["Destination", AIOKafkaProducer], None]
    ) -> None:
        """Call `stuck` for a batch that does not arrive, with its producer."""
        self.topic: Final = topic
        self.partition: Final = partition
        self._stuck: Final = stuck
        self._turn: Final = asyncio.Lock()
        self._sent: asyncio.Future[Any] | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the others who send to it.

        Raises TimeoutError for them, and while something is on its way that somebody has given up
        waiting for.
        """
        if self._turn.locked():
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._turn.acquire()
        else:
            await self._turn.acquire()
        try:
            if self._sent is not None and not self._sent.done():
                raise TimeoutError
            yield
        finally:
            self._turn.release()

    async def send(self, producer: AIOKafkaProducer, batch: Any) -> None:  # noqa: ANN401
        """Send aiokafka's BatchBuilder; return once the broker has it.

        Raises why it has not: OSError, TimeoutError, KafkaError.
        """
        # An open batch would wait for more messages.
        batch.close()
        async with asyncio.timeout(PUBLISH_SECONDS):
            sent = await producer.send_batch(batch, self.topic, partition=self.partition)
        self._sent = sent
        try:
            await asyncio.wait([sent], timeout=PUBLISH_SECONDS)
        finally:  # also where the caller is cancelled
            if not sent.done():
                self._leave(sent, producer)
        if not sent.done():
            raise TimeoutError
        self._sent = None
        if error := _failure(sent):
            raise error

    def _leave(self, sent: "asyncio.Future[Any]", producer: AIOKafkaProducer) -> None:
        sent.add_done_callback(_failure)  # else asyncio logs that nobody asked
        loop = asyncio.get_running_loop()
        loop.call_later(STUCK_SECONDS, self._look_again, sent, producer)

    def _look_again(self, sent: "asyncio.Future[Any]", producer: AIOKafkaProducer) -> None:
        if not sent.done():
            self._stuck(self, producer)


def _failure(sent: "asyncio.Future[Any]") -> BaseException | None:
    """Return why a batch did not arrive; a producer that stops may cancel those it has not sent."""
    return ConnectionAbortedError() if sent.cancelled() else sent.exception()
