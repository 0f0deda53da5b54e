"""Tasks end, also those that take a cancellation for something else."""

import asyncio

from faults.cancellation import cancel


async def test_who_misses_a_cancellation_ends_all_the_same() -> None:
    missed = 0

    async def stubborn() -> None:
        nonlocal missed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                missed += 1
                if missed > 1:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await cancel([task])
    assert missed == 2
