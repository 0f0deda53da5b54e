"""Takes messages out of the outbox to Kafka: the one way out of the service."""

import asyncio
from typing import Final

from store.protocols import ClassEventPublisherProtocol, OutboxProtocol, PublishError
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

BATCH_ROWS: Final = 500
POLL_SECONDS: Final = 1.0
SHARDS_AT_ONCE: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.2
MAX_PAUSE_SECONDS: Final = 5.0

_log = get_logger(__name__)


class OutboxRelay:
    """Publishes shard by shard; a shard's rows leave in order and are deleted once acknowledged."""

    def __init__(
        self,
        outbox: OutboxProtocol,
        publisher: ClassEventPublisherProtocol,
        metrics: Metrics,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._metrics = metrics
        self._slots = asyncio.Semaphore(SHARDS_AT_ONCE)
        self._pause = FIRST_PAUSE_SECONDS

    async def run(self) -> None:
        """Relay for ever, as soon as something is committed and at least each second."""
        while True:
            shards = await self._outbox.waiting_shards()
            results = await asyncio.gather(
                *(self._drain(shard) for shard in shards), return_exceptions=True
            )
            failures = [result for result in results if isinstance(result, BaseException)]
            if failures:
                await self._back_off(failures)
                continue
            self._recovered()
            if not any(results):
                await self._outbox.wait(POLL_SECONDS)

    async def _drain(self, shard: int) -> int:
        """Publish one batch of a shard's rows; return how many."""
        async with self._slots, self._outbox.lease(shard) as lease:
            if lease is None:
                return 0
            rows = await lease.fetch(BATCH_ROWS)
            if rows:
                await self._publisher.publish([row.message for row in rows])
                await lease.delete([row.id for row in rows])
                self._metrics.published.inc(len(rows))
            return len(rows)

    async def _back_off(self, failures: list[BaseException]) -> None:
        """Wait for Kafka; what else failed is not the relay's to judge."""
        for failure in failures:
            if not isinstance(failure, PublishError):
                raise failure
        self._metrics.retries.labels("relay").inc()
        if self._pause == FIRST_PAUSE_SECONDS:
            _log.warning("Kafka away, events wait in the outbox", exc_info=failures[0].__cause__)
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, MAX_PAUSE_SECONDS)

    def _recovered(self) -> None:
        if self._pause > FIRST_PAUSE_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
            _log.info("Kafka back, events follow")
