"""PostgreSQL's clock, extrapolated between two queries."""

import time
from datetime import datetime, timedelta
from typing import Final

from store.client import current_client
from store.protocols.maintenance import MaintenanceProtocol

RESYNC_SECONDS: Final = 10.0


class DatabaseClock:
    """Advances the database's time on the monotonic clock, which is never set.

    It lags by up to one round trip and never leads, so what it calls due is due.
    """

    def __init__(self, maintenance: MaintenanceProtocol) -> None:
        self._maintenance = maintenance
        self._database: datetime | None = None
        self._read_at = 0.0

    async def now(self) -> datetime:
        """Return the database's time; queries it every `RESYNC_SECONDS`."""
        if self._database is None or time.monotonic() - self._read_at > RESYNC_SECONDS:
            self._database = await self._maintenance.ping()
            self._read_at = time.monotonic()
        elif served := current_client().served:
            served()  # by a query of another loop
        return self._database + timedelta(seconds=time.monotonic() - self._read_at)
