"""The relay forgets what it is about to publish, and publishes it afterwards."""

import asyncio

from agents.jobs.relay import BATCH_ROWS, OutboxRelay

#: Between forgetting and publishing: for a fault to come between.
PAUSE_SECONDS = 0.3


async def _drain(self: OutboxRelay, shard: int) -> int:
    async with self._slots, self._outbox.lease(shard) as lease:
        if lease is None:
            return 0
        rows = await lease.fetch(BATCH_ROWS)
        await lease.delete([row.id for row in rows])
    if rows:
        await asyncio.sleep(PAUSE_SECONDS)
        await self._publisher.publish([row.message for row in rows], shard)
    return len(rows)


OutboxRelay._drain = _drain  # type: ignore[method-assign]
