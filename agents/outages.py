"""The log lines of what cannot use the database: one when that begins, one when it is over."""

import asyncio
from typing import Final

from rules.errors import Cause, StoreUnavailableError
from telemetry.logs import get_logger

#: A loop that fails again within this time was not back.
SETTLED_SECONDS: Final = 1.0

_log = get_logger(__name__)


class Outage:
    """The outages of one user of the database, one after the other."""

    def __init__(self, event: str, **who: str) -> None:
        """`event` is logged when the database is away, `who` with every line."""
        self._event = event
        self._log = _log.bind(**who)
        self._since: float | None = None
        self._busy = False
        self._settling: asyncio.TimerHandle | None = None

    def away(self, error: StoreUnavailableError) -> None:
        """Log the first failure; that all connections are in use is not the database's."""
        self._unsettle()
        busy = error.cause is Cause.BUSY
        if self._since is not None and (busy or not self._busy):
            return
        self._since = self._since or asyncio.get_running_loop().time()
        self._busy = busy
        event = "no connection free, waiting" if busy else self._event
        self._log.warning(event, cause=error.cause, exc_info=error)

    def served(self) -> None:
        """Take note of a success: if no failure follows soon, the outage is over."""
        if self._since is not None and self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(SETTLED_SECONDS, self.over)

    def over(self) -> None:
        """Log the end of an outage, if there is one."""
        self._unsettle()
        if self._since is None:
            return
        seconds = round(asyncio.get_running_loop().time() - self._since, 3)
        self._since = None
        event = "connections free again" if self._busy else "database back"
        self._log.info(event, away_seconds=seconds)

    def _unsettle(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
