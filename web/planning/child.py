"""The planning process: does one job after another, until its parent closes the pipe.

Parent and child write a length of eight bytes and a pickle of as many; before the child's stands a
byte that says whether it goes on after it. The child has no address of a database, no key and no
open file of its parent's.
"""

import gc
import os
import pickle
import re
import resource
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from rules.errors import ServiceError
from web.planning.jobs import Done, Failed, Job, Outcome, Refused, packed

LENGTH_BYTES: Final = 8
#: The first byte of an answer: whether the process takes another job.
GOES_ON: Final = b"+"
ENDS: Final = b"-"
#: What 50,000 rows beside 20,000 students take, four times. Beyond it a job fails.
MEMORY_BYTES: Final = 1_536 * 1024**2
#: After a job that took more the process ends, so that the memory is there for others.
KEPT_BYTES: Final = 192 * 1024**2
#: People's requests come first.
_NICE: Final = 5

_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def framed(value: object) -> bytes:
    """Return a value as it goes through a pipe."""
    packed = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return len(packed).to_bytes(LENGTH_BYTES) + packed


def main() -> None:
    """Do jobs from standard input."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Nothing here lives longer than a job, and a collection looks at all of it.
    gc.disable()
    with suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(sys.stdin.buffer, sys.stdout.buffer)


def _serve(jobs: BinaryIO, outcomes: BinaryIO) -> None:
    while (job := _next(jobs)) is not None:
        answer = _answer(job)
        ends = _peak_bytes() > KEPT_BYTES
        outcomes.write((ENDS if ends else GOES_ON) + answer)
        outcomes.flush()
        if ends:
            return


def _next(jobs: BinaryIO) -> bytes | None:
    """Return a job as it was pickled, None once the parent is gone."""
    length = int.from_bytes(jobs.read(LENGTH_BYTES))
    packed = jobs.read(length)
    return packed if length and len(packed) == length else None


def _answer(packed: bytes) -> bytes:
    try:
        return framed(_outcome(pickle.loads(packed)))  # noqa: S301  # of the parent
    except Exception as error:  # noqa: BLE001  # what came and what goes may be too large
        return framed(_failed(error))


def _outcome(job: Job[object]) -> Outcome:
    try:
        return Done(packed(job.run()))
    except ServiceError as error:
        return Refused(type(error), vars(error))


def _failed(error: Exception) -> Failed:
    frames = traceback.extract_tb(error.__traceback__)
    places = tuple(f"{frame.filename}:{frame.lineno}" for frame in frames)
    return Failed(type(error).__name__, places)


def _peak_bytes() -> int:
    """Return the most that this process had; the kernel's ru_maxrss begins with the parent's."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:
        return 0
    peak = _PEAK.search(status)
    return int(peak[1]) * 1024 if peak else 0


if __name__ == "__main__":
    main()
