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
    """Return a function that returns whether our make is ending; False without a make."""
    if "MAKELEVEL" not in os.environ:
        return lambda: False
    make = os.getppid()
    return lambda: os.getppid() != make or _is_interrupted(make)


def _is_interrupted(pid: int) -> bool:
    """Return whether make is in its handler of SIGINT, during which SIGINT is blocked."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True
    blocked = int(status.partition("SigBlk:")[2].split()[0], base=16)
    return bool(blocked >> (signal.SIGINT - 1) & 1)
