"""Work that takes long without waiting for anything lets others run in between."""

import asyncio
from typing import Final

#: A teacher's request waits this much longer at the most, in seconds.
BREATH_SECONDS: Final = 0.002


class Pace:
    """Counts from where it was made, and from each pause."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def keep(self) -> None:
        """Let others run, where this work has had its time."""
        if self._clock() - self._since > BREATH_SECONDS:
            await asyncio.sleep(0)
            self._since = self._clock()
