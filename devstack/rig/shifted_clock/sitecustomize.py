"""Shifts the clock of a Python process from its first line on: put this folder on PYTHONPATH.

Only the time of day is shifted; the monotonic clock cannot be set. Code in C asks the kernel by
itself: aiokafka, which puts the time on each message, does without it here.
"""

import ctypes
import datetime as dt
import gc
import os
import time

SHIFT = float(os.environ["CLOCK_SHIFT_SECONDS"])
os.environ["AIOKAFKA_NO_EXTENSIONS"] = "1"

_time, _time_ns, _now = time.time, time.time_ns, dt.datetime.now


def _shifted_now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
    del cls
    return _now(tz) + dt.timedelta(seconds=SHIFT)


time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + int(SHIFT * 1e9)
# A class in C: its dictionary is behind the proxy that Python shows.
(_members,) = gc.get_referents(dt.datetime.__dict__)
_members["now"] = classmethod(_shifted_now)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(dt.datetime))
