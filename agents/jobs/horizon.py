"""Keeps the next deadlines in memory, at each rebalance and as time goes."""

from typing import Final

from agents.jobs.clock import DatabaseClock
from tables.pending import PendingTable

LOOK_SECONDS: Final = 1.0


class HorizonLoop:
    """A loop over the table's next deadlines."""

    def __init__(self, table: PendingTable, clock: DatabaseClock) -> None:
        self._table = table
        self._clock = clock

    async def run(self) -> None:
        """Load for ever."""
        while True:
            await self._table.ready()
            generation = self._table.generation
            await self._table.load(await self._clock.now())
            while generation == self._table.generation:
                await self._table.changed(generation, LOOK_SECONDS)
                if self._table.needs_loading(await self._clock.now()):
                    break
