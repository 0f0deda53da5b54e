"""The store in numbers, as pages show it every few seconds: also the last ones while it is away."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from rules.errors import Cause, UnavailableError
from store.protocols.overview import Overview, OverviewProtocol


@dataclass(frozen=True, slots=True)
class Reading:
    """The last numbers that were read, at `at`; `away_since`: they cannot be read since then."""

    overview: Overview | None = None
    at: datetime | None = None
    away_since: datetime | None = None
    fault: str = ""


class Figures:
    """Reads the numbers, once for all who ask at the same time, and remembers them."""

    def __init__(self, store: OverviewProtocol, seconds: float) -> None:
        """Wait for `seconds`: a page of operators has to be there when the store hangs."""
        self._store = store
        self._seconds = seconds
        self._last = Reading()
        self._asking: asyncio.Task[None] | None = None

    async def read(self) -> Reading:
        """Return the numbers of now, or the last ones."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        await asyncio.wait((self._asking,), timeout=self._seconds)
        if self._asking.done():
            self._asking.result()
        else:
            self._note(Cause.NO_ANSWER)
        return self._last

    async def _ask(self) -> None:
        try:
            overview = await self._store.overview()
        except UnavailableError as error:
            self._note(error.cause)
        else:
            self._last = Reading(overview, datetime.now(UTC))

    def _note(self, fault: str) -> None:
        last = self._last
        since = last.away_since or datetime.now(UTC)
        self._last = Reading(last.overview, last.at, since, fault)
