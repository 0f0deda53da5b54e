"""Fixes Faust's table manager, which sleeps for a second at the start."""

import logging

from faust.tables import TableManager


class PromptTableManager(TableManager):
    """Registers the tables at once.

    Faust sleeps first so that tables can still be declared; here all are before the App starts.
    """

    logger = logging.getLogger("faust.tables")

    async def on_start(self) -> None:
        """Register the tables and start recovery."""
        await self._update_channels()
        await self.recovery.start()
