"""Which connections a process lets in."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from telemetry.logs import get_logger
from web.limits import ConnectionLimits

#: Between two log lines about the same flood.
QUIET_SECONDS: Final = 60.0

_log: Final = get_logger(__name__)


class Admitted(Protocol):
    """A connection, as far as letting it in goes."""

    is_extra: bool

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered on it."""

    def refuse(self) -> None:
        """Say that there are too many connections, and close it."""


class Admission:
    """Counts connections, and takes more than the limit for operations paths only.

    Which path a connection wants is known once its request is there. So it is let in, to a reserve,
    and when the reserve is full the one that has been silent in it for longest has to go: whoever
    asks at once is heard, whatever the others do.
    """

    def __init__(self, limits: ConnectionLimits, refused: Callable[[], None]) -> None:
        """`refused` is called for each connection that has to go."""
        self._limits = limits
        self._refused = refused
        self._ordinary: set[Admitted] = set()
        self._extra: dict[Admitted, None] = {}
        self._logged_at = float("-inf")

    @property
    def count(self) -> int:
        """The connections that are open."""
        return len(self._ordinary) + len(self._extra)

    def enter(self, connection: Admitted) -> None:
        """Let a connection in, or refuse the one that can best be spared."""
        if len(self._ordinary) < self._limits.connections:
            self._ordinary.add(connection)
            return
        self._log_once()
        connection.is_extra = True
        self._extra[connection] = None
        if len(self._extra) > self._limits.reserve:
            self._refuse(self._spared(connection))

    def leave(self, connection: Admitted) -> None:
        """Forget a connection."""
        self._ordinary.discard(connection)
        self._extra.pop(connection, None)

    def _spared(self, newest: Admitted) -> Admitted:
        return next((one for one in self._extra if not one.is_busy), newest)

    def _refuse(self, connection: Admitted) -> None:
        self.leave(connection)
        self._refused()
        connection.refuse()

    def _log_once(self) -> None:
        now = time.monotonic()
        if now - self._logged_at >= QUIET_SECONDS:
            self._logged_at = now
            _log.warning("connections at their limit", limit=self._limits.connections)
