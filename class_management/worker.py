"""A worker: one process of the service, from start to exit code."""

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any, Final

import faust
import mode.loop

from class_management.app import ClassManagementApp
from class_management.container import build_container
from class_management.preflight import preflight
from class_management.settings import Settings
from telemetry.logs import get_logger

#: Added to the signal's number, as shells report a program killed by a signal.
EXIT_BY_SIGNAL: Final = 128
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
CANCEL_AGAIN_SECONDS: Final = 0.2

_log = get_logger(__name__)


class Worker(faust.Worker):
    """Faust's worker, except that a stop during the start is not an error."""

    logger = logging.getLogger("faust.worker")

    async def start(self) -> None:
        """Start; ignore any error after a stop was requested, since the stop may cause it."""
        try:
            await super().start()
        except Exception as error:
            if self._signal_stop_time is None:
                raise
            _log.info("start broken off by a stop", exc_info=error)


def run_worker(settings: Settings) -> None:
    """Run the service until SIGINT or SIGTERM, and end the process. Raises SettingsError."""
    mode.loop.use("uvloop")
    settings = _run_preflight(settings)
    app = ClassManagementApp(settings, build_container(settings))
    worker = Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()  # ends the process with its own exit code


def _run_preflight(settings: Settings) -> Settings:
    """Run the preflight; a signal ends it, even as PID 1, which ignores signals by default.

    Returns the settings that hold.
    """
    held = settings

    async def run() -> None:
        nonlocal held
        held = await preflight(settings)

    if number := asyncio.run(until_signal(run())):
        sys.exit(EXIT_BY_SIGNAL + number)
    return held


async def until_signal(work: Coroutine[Any, Any, None]) -> int:
    """Run `work` to its end, or until one of SIGNALS: then return its number, else 0.

    A handler of Python's own may raise where a library swallows the exception, so the loop has
    handlers meanwhile. `work` is cancelled until it ends: `wait_for` of Python 3.11 may lose a
    cancellation. Afterwards a signal ends the program, until Faust has handlers of its own.
    """
    loop = asyncio.get_running_loop()
    received: asyncio.Future[int] = loop.create_future()
    for number in SIGNALS:
        loop.add_signal_handler(number, _receive, received, number)
    task = loop.create_task(work)
    await asyncio.wait((task, received), return_when=asyncio.FIRST_COMPLETED)
    if not received.done():
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, _exit)
        task.result()
        return 0
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=CANCEL_AGAIN_SECONDS)
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not log it
    return received.result()


def _exit(number: int, _frame: object) -> None:
    sys.exit(EXIT_BY_SIGNAL + number)


def _receive(received: "asyncio.Future[int]", number: int) -> None:
    if not received.done():
        received.set_result(number)
