"""The CPU time of a change: of the program measured, PostgreSQL and the broker, each with children.

Of each process the kernel's own clock of it is read, in nanoseconds and with threads that have
ended; of children that have ended and been waited for what `/proc/PID/stat` has of them.
"""

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import psutil

_LIBC: Final = ctypes.CDLL(None)
_ATTEMPTS: Final = 20
#: In the titles of PostgreSQL's processes: the address of a client's.
_CLIENT: Final = "127.0.0.1("


class Unsteady(Exception):  # noqa: N818  # says what the processes are
    """Processes of a program came or went each time it was looked at."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time in seconds: of a program's live processes by id, and of those that have ended."""

    live: Mapping[int, float]
    ended: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.live.values()) + self.ended


def spent(pid: int) -> Spent:
    """Return what a process and its descendants have used. Raises Unsteady."""
    for _ in range(_ATTEMPTS):
        before = _family(pid)
        try:
            live = {one: _clock(one) for one in before}
            ended = sum(_of_ended(one) for one in before)
        except (OSError, psutil.NoSuchProcess):
            continue
        # Who ended between two looks was counted twice, or not at all.
        if _family(pid) == before:
            return Spent(live, ended)
    raise Unsteady(f"process {pid}")


def _family(pid: int) -> Sequence[int]:
    process = psutil.Process(pid)
    return [pid, *sorted(child.pid for child in process.children(recursive=True))]


def _clock(pid: int) -> float:
    """Return the CPU time of a process, with all its threads. Raises OSError if it has ended."""
    clock = ctypes.c_int()
    if error := _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, f"process {pid}")
    return time.clock_gettime(clock.value)


def _of_ended(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.children_user + times.children_system)


@dataclass(frozen=True, slots=True)
class Programs:
    """The process ids of what takes part in a change."""

    worker: int
    """The service, or a floor."""
    postgres: int
    broker: int

    def spent(self) -> dict[str, Spent]:
        """Return what each has used so far, by its name."""
        return {
            "worker": spent(self.worker),
            "postgres": spent(self.postgres),
            "broker": spent(self.broker),
        }


class Meter:
    """Measures the CPU time that programs use while its context is open."""

    def __init__(self, programs: Programs, rest: float = 0.0) -> None:
        """`rest`: the CPU seconds that they use in a second in which nothing is asked of them."""
        self._programs = programs
        self._rest = rest
        self._before: dict[str, Spent] = {}
        self._after: dict[str, Spent] = {}
        self._seconds = 0.0

    def __enter__(self) -> Self:
        self._seconds = -time.monotonic()
        self._before = self._programs.spent()
        return self

    def __exit__(self, *_: object) -> None:
        self._after = self._programs.spent()
        self._seconds += time.monotonic()

    @property
    def rate(self) -> float:
        """CPU seconds a second, of all of them."""
        return sum(self._parts().values()) / self._seconds

    def us_for_each(self, count: int) -> dict[str, float]:
        """Return the microseconds that each of `count` changes took, by program and of all.

        Above rest is what they used more than they would have without a change in the same time.
        """
        parts = {name: seconds * 1e6 / count for name, seconds in self._parts().items()}
        all_parts = sum(parts.values())
        above = max(all_parts - self._rest * self._seconds * 1e6 / count, 0.0)
        costs = {f"cpu_us_{name}": us for name, us in parts.items()}
        return {**costs, "cpu_us_all": all_parts, "cpu_us_above_rest": above}

    def _parts(self) -> dict[str, float]:
        return {name: after.total - self._before[name].total for name, after in self._after.items()}

    def notes(self, count: int) -> dict[str, float]:
        """Return what of PostgreSQL's no client's process took, or one that has ended.

        That is checkpoints, writing, autovacuum, and the connections of the load.
        """
        before, after = self._before["postgres"], self._after["postgres"]
        clients = sum(
            seconds - before.live.get(pid, 0.0)
            for pid, seconds in after.live.items()
            if _is_client(pid)
        )
        return {"cpu_us_background": (after.total - before.total - clients) * 1e6 / count}


def _is_client(pid: int) -> bool:
    try:
        return any(_CLIENT in word for word in psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False
