"""Notices that the `make` which started this program has to stop.

GNU make forwards a SIGTERM to its commands, but not a SIGINT sent to it alone: it
assumes that the terminal sent one to the whole group, and waits. A killed make forwards
nothing. In both cases the service would keep running.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path


def watch_make() -> Callable[[], bool]:
    """Return a function to ask now and then whether our make is ending; False without a make.

    A make in its handler of SIGINT blocks that until its commands have ended. It blocks it also for
    the moment in which it starts one: only what is blocked at two looks in a row is an end.
    """
    if "MAKELEVEL" not in os.environ:
        return lambda: False
    make, is_blocked = os.getppid(), False

    def is_ending() -> bool:
        nonlocal is_blocked
        was_blocked, is_blocked = is_blocked, _blocks_interrupts(make)
        return os.getppid() != make or (was_blocked and is_blocked)

    return is_ending


def _blocks_interrupts(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True  # it has ended
    blocked = int(status.partition("SigBlk:")[2].split()[0], base=16)
    return bool(blocked >> (signal.SIGINT - 1) & 1)
