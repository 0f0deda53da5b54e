"""The safety net of the timers: finds batches in PostgreSQL that should have been decided."""

import asyncio
from collections import deque
from typing import Final
from uuid import UUID

from agents.jobs.decisions import BATCHES_AT_ONCE, ClockDecisions, repeat_at_once
from agents.jobs.due import DueLoop
from store.protocols.timers import TimerProtocol

POLL_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 1.0
#: How long a busy due loop is left alone with its deadlines in memory.
PATIENCE_SECONDS: Final = 10.0
#: Batches found by one look, which reads about as many essays, however few batches it returns.
FOUND_AT_ONCE: Final = 5000


class OverdueLoop:
    """Leaves a flood to the due loop: both would try the same batches."""

    def __init__(self, timers: TimerProtocol, decisions: ClockDecisions, due: DueLoop) -> None:
        self._timers = timers
        self._decisions = decisions
        self._due = due
        self._turn = asyncio.Lock()
        self._looked_at = 0.0
        self._found: deque[UUID] = deque()
        self._deciding: set[UUID] = set()
        #: Found, but nothing of them decided: another worker is at them.
        self._passed: set[UUID] = set()

    async def run(self) -> None:
        """Look; after a find, again at once."""
        self._found.clear()
        self._looked_at = asyncio.get_running_loop().time()
        await repeat_at_once(self._decide)

    async def _decide(self) -> None:
        async with self._turn:
            some = await self._next()
            self._deciding.update(some)
        try:
            if not await self._decisions.decide(some, "overdue"):
                self._passed.update(some)
        finally:
            self._deciding.difference_update(some)

    async def _next(self) -> list[UUID]:
        """Wait for batches that are overdue and return them, each once."""
        while True:
            if self._gives_way():
                self._found.clear()
            elif found := await self._find():
                return found
            await asyncio.sleep(POLL_SECONDS)
            self._passed.clear()

    def _gives_way(self) -> bool:
        since = asyncio.get_running_loop().time() - self._looked_at
        return self._due.behind and since < PATIENCE_SECONDS

    async def _find(self) -> list[UUID]:
        """Return some that nobody is at; with too many of the others, none."""
        if not self._found and len(self._passed) < FOUND_AT_ONCE:
            self._looked_at = asyncio.get_running_loop().time()
            without = self._deciding | self._passed
            self._found += await self._timers.overdue(FOUND_AT_ONCE, GRACE_SECONDS, without)
        count = min(len(self._found), BATCHES_AT_ONCE)
        return [self._found.popleft() for _ in range(count)]
