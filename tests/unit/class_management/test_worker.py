"""How a worker is stopped before it has started."""

import asyncio
import gc
import os
import signal
from collections.abc import Iterator

import pytest

from class_management.worker import SIGNALS, until_signal


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Give pytest its handlers back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_that_comes_later_ends_the_program(number: signal.Signals) -> None:
    await until_signal(asyncio.sleep(0))
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(number)
    assert ended.value.code == 128 + number


async def test_what_a_cancellation_becomes_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise LookupError from None

    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
    assert await until_signal(fail()) == signal.SIGTERM
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_failure_is_passed_on() -> None:
    async def fail() -> None:
        raise LookupError("of the work")

    with pytest.raises(LookupError, match="of the work"):
        await until_signal(fail())
