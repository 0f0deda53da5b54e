"""A worker: one process of the service, from start to exit code."""

import asyncio
import logging
import signal
import sys
from typing import Final

import faust
import mode.loop

from class_management.app import ClassManagementApp
from class_management.container import build_container
from class_management.preflight import preflight
from class_management.settings import Settings
from telemetry.logs import get_logger

#: Added to the signal's number, as shells report a program killed by a signal.
EXIT_BY_SIGNAL: Final = 128

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
    """Run the service until SIGINT or SIGTERM, and end the process."""
    mode.loop.use("uvloop")
    if settings.role.has_streams:
        settings.data_dir.parent.mkdir(parents=True, exist_ok=True)
    _run_preflight(settings)
    app = ClassManagementApp(settings, build_container(settings))
    worker = Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()  # ends the process with its own exit code


def _run_preflight(settings: Settings) -> None:
    """Run the preflight; a signal ends it, even as PID 1, which ignores signals by default."""

    def end(number: int, _frame: object) -> None:
        sys.exit(EXIT_BY_SIGNAL + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    asyncio.run(preflight(settings))
