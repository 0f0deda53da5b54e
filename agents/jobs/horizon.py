"""Keeps the next deadlines in memory, across rebalances and as time passes."""

from typing import Final

from agents.jobs.clock import DatabaseClock
from tables.pending import PendingTable

LOOK_SECONDS: Final = 1.0


class HorizonLoop:
    """Loads the next deadlines from the table."""

    def __init__(self, table: PendingTable, clock: DatabaseClock) -> None:
        self._table = table
        self._clock = clock

    async def run(self) -> None:
        """Load after each rebalance and whenever the deadlines in memory run low."""
        while True:
            await self._table.ready()
            generation = self._table.generation
            await self._table.load(await self._clock.now())
            while generation == self._table.generation:
                await self._table.changed(generation, LOOK_SECONDS)
                if self._table.needs_loading(await self._clock.now()):
                    break
