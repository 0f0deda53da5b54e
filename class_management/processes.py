"""Several processes behind one port: started, watched, and stopped together."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import partial
from types import FrameType
from typing import Final

from telemetry.logs import get_logger

#: Longer than the longest stop of a worker.
STOP_SECONDS: Final = 9.0
#: The shortest time between two starts of a process that exits unasked.
RESTART_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.1

#: A process that is still starting is killed by the signal.
_GOOD_EXIT_CODES: Final = (0, -signal.SIGTERM, 128 + signal.SIGTERM)

#: Of a process that can never run: it has said which setting is wrong.
EXIT_TROUBLE: Final = 2

_COMMAND: Final = (sys.executable, "-P", "-m", "class_management", "worker")
_PR_SET_PDEATHSIG: Final = 1

_log = get_logger(__name__)


class WebProcesses:
    """Runs `count` workers until SIGINT or SIGTERM."""

    def __init__(self, count: int) -> None:
        self._running: list[subprocess.Popen[bytes] | None] = [None] * count
        self._started = [0.0] * count
        self._stopping = False

    def run(self) -> int:
        """Run until a signal; return 0 if every process then exited cleanly, else 1."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        while not self._stopping:
            for place in range(len(self._running)):
                self._start_missing(place)
            time.sleep(POLL_SECONDS)
        return self._stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start_missing(self, place: int) -> None:
        """Start a process that has not run yet or has exited."""
        child = self._running[place]
        if child is not None and child.poll() is None:
            return
        if child is not None and not self._stopping:
            _log.error("web process ended by itself", exit_code=child.returncode)
            if child.returncode == EXIT_TROUBLE:
                self._stopping = True
                return
            self._running[place] = None
        if time.monotonic() - self._started[place] >= RESTART_SECONDS:
            self._started[place] = time.monotonic()
            self._running[place] = subprocess.Popen(  # noqa: S603  # our own command
                _COMMAND,
                start_new_session=True,  # a Ctrl-C at the terminal is passed on by us, once
                preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509  # no threads run here
            )

    def _stop(self) -> int:
        children = [child for child in self._running if child is not None]
        for child in children:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                _log.warning("web process did not stop, killed", pid=child.pid)
                child.kill()
                child.wait()
        return 0 if all(child.returncode in _GOOD_EXIT_CODES for child in children) else 1


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
