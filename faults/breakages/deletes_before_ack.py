"""The relay deletes rows first, and publishes them afterwards."""

import asyncio

from agents.jobs.relay import BATCH_ROWS, OutboxRelay

#: Between deletion and publication, so that a fault can strike in between.
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
