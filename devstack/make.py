"""Noticing that the `make` which started us is to stop.

GNU make passes a SIGTERM on to what it runs, but a SIGINT sent to it alone it keeps:
it takes for granted that the terminal sent one to everybody, and waits. Killed, it
can't pass on anything. In both cases the service would run on.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path


def watch_make() -> Callable[[], bool]:
    """Return a function that says whether our make is ending; never so without one."""
    if "MAKELEVEL" not in os.environ:
        return lambda: False
    make = os.getppid()
    return lambda: os.getppid() != make or _is_interrupted(make)


def _is_interrupted(pid: int) -> bool:
    """Return whether make is in its handler of SIGINT, which blocks that very signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True
    blocked = int(status.partition("SigBlk:")[2].split()[0], base=16)
    return bool(blocked >> (signal.SIGINT - 1) & 1)
