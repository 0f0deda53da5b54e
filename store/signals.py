"""How the relay of this process learns that something was committed."""

import asyncio
import contextlib


class CommitSignal:
    """Set after each commit with messages; `wait` clears it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the waiting relay."""
        self._event.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait until set; return False after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        was_set = self._event.is_set()
        self._event.clear()
        return was_set
