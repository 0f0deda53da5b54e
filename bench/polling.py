"""Waiting for what a database will say."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(
    reached: Callable[[], Awaitable[bool]], *, pause_seconds: float, limit_seconds: float
) -> None:
    """Ask until it is so. Raises TimeoutError."""
    async with asyncio.timeout(limit_seconds):
        while not await reached():  # noqa: ASYNC110  # another process brings it about
            await asyncio.sleep(pause_seconds)
