"""The relay deletes packs first, and publishes them afterwards."""

import asyncio
from collections.abc import Collection

from agents.jobs.relay import OutboxRelay, Round
from agents.jobs.settling import free

#: Between deletion and publication, so that a fault can strike in between.
PAUSE_SECONDS = 0.3


async def _publish(
    self: OutboxRelay, shards: Collection[int], most: int, retried: int | None = None
) -> Round:
    del retried
    async with self._outbox.lease(shards, most) as lease:
        packs = await lease.fetch()
        await lease.end(packs, {})
    if packs:
        await asyncio.sleep(PAUSE_SECONDS)
        await self._publisher.publish(free(packs))
    return Round(lease.shards, is_full=False)


OutboxRelay._publish = _publish  # type: ignore[method-assign]
