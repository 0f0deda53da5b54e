"""Long work that awaits nothing lets other tasks run in between."""

import asyncio
from typing import Final

#: Seconds for which such work may delay a teacher's request.
BREATH_SECONDS: Final = 0.002


class Pace:
    """Counts from its creation, and from each pause."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def keep(self) -> None:
        """Let other tasks run if this one has had its time."""
        if self._clock() - self._since > BREATH_SECONDS:
            await asyncio.sleep(0)
            self._since = self._clock()
