"""How a worker is stopped before it has started."""

import asyncio
import os
import signal

import pytest

from class_management.worker import until_signal


async def stubborn() -> None:
    """Lose the first cancellation, as a library may."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        await asyncio.sleep(3600)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_what_loses_a_cancellation(number: signal.Signals) -> None:
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
    assert await until_signal(stubborn()) == number


async def test_what_ends_by_itself_was_ended_by_no_signal() -> None:
    assert await until_signal(asyncio.sleep(0)) == 0


async def test_a_failure_is_passed_on() -> None:
    async def fail() -> None:
        raise LookupError("of the work")

    with pytest.raises(LookupError, match="of the work"):
        await until_signal(fail())
