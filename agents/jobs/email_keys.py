"""Computes the keys by which addresses are compared, for students of earlier versions.

An upgrade never waits for it, and never stops on what people have stored.
"""

import asyncio
from math import nan
from typing import Final
from uuid import UUID

from rules.errors import StoreUnavailableError
from store.protocols.email_keys import EmailKeysProtocol, Lacking
from telemetry.metrics import Metrics

#: Few enough that nobody who changes one of them notices the wait.
AT_ONCE: Final = 200
#: Between two portions: a million students take some minutes, and the database is others', too.
PAUSE_SECONDS: Final = 0.02
#: Between two looks: workers of an earlier version write students without a key.
LOOK_SECONDS: Final = 30.0
#: How many looks pass between two at those that collide: a key may have become free.
LOOKS_BETWEEN: Final = 20

_FIRST: Final = UUID(int=0)


class EmailKeysLoop:
    """Looks for students without a key, again and again."""

    def __init__(self, keys: EmailKeysProtocol, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics

    async def run(self) -> None:
        """Look at intervals; what cannot be counted is shown as unknown."""
        looks = 0
        while True:
            try:
                await self._look(collisions_too=looks % LOOKS_BETWEEN == 0)
            except StoreUnavailableError:
                self._show(nan, nan)
                raise
            looks += 1
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, *, collisions_too: bool) -> None:
        await self._count()
        await self._go_through(Lacking.UNKEYED)
        if collisions_too:
            await self._go_through(Lacking.COLLIDING)
        await self._count()

    async def _go_through(self, lacking: Lacking) -> None:
        begin: UUID | None = _FIRST
        while begin is not None:
            begin = await self._keys.fill(lacking, begin, AT_ONCE)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _count(self) -> None:
        left = await self._keys.count()
        self._show(left.unkeyed, left.colliding)

    def _show(self, unkeyed: float, colliding: float) -> None:
        self._metrics.emails_unkeyed.set(unkeyed)
        self._metrics.emails_colliding.set(colliding)
