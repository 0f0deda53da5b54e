"""Mends Faust's table manager, which sleeps for a second at the start."""

import logging

from faust.tables import TableManager


class PromptTableManager(TableManager):
    """Registers the tables as soon as it starts.

    Faust sleeps for a second first, so that tables may still be declared meanwhile. Here all are
    declared before the App starts.
    """

    logger = logging.getLogger("faust.tables")

    async def on_start(self) -> None:
        """Register the tables and start recovery."""
        await self._update_channels()
        await self.recovery.start()
