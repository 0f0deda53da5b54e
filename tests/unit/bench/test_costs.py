"""What a program costs is what all its processes have used, those that have ended, too."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from bench.costs import Meter, Programs, spent
from devstack.process import bound

BURNT: Final = 0.2  # seconds of CPU each
PROGRAM: Final = f"""
import subprocess, sys, threading, time

def burn(of):
    while of() < {BURNT}:
        pass

BURN = "import time\\nwhile time.process_time() < {BURNT}: pass"
print("started", flush=True)
sys.stdin.readline()
burn(time.process_time)
thread = threading.Thread(target=burn, args=(time.thread_time,))
thread.start()
thread.join()
subprocess.run([sys.executable, "-c", BURN], check=True)
lasting = subprocess.Popen(
    [sys.executable, "-c", BURN + "\\nprint(flush=True)\\ninput()"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
)
lasting.stdout.readline()
print("burnt", flush=True)
sys.stdin.readline()
lasting.kill()
"""


@contextmanager
def program() -> Iterator["subprocess.Popen[str]"]:
    command = bound([sys.executable, "-c", PROGRAM])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
        process.kill()


def go_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "burnt\n"


@pytest.mark.timeout(60)
def test_threads_and_children_count_also_when_they_have_ended() -> None:
    with program() as burning, program() as idle:
        meter = Meter(Programs(burning.pid, idle.pid, idle.pid), rest=0.1)
        with meter:
            go_on(burning)
        after = spent(burning.pid)
        costs = meter.us_for_each(100)
    assert len(after.live) == 2
    assert after.ended >= 0.9 * BURNT
    assert min(after.live.values()) >= BURNT
    # Four times: itself, a thread, a child that has ended and one that has not.
    assert 4 * 0.9 * BURNT <= costs["cpu_us_worker"] / 1e6 * 100 <= 8 * BURNT
    assert costs["cpu_us_postgres"] == costs["cpu_us_broker"] == 0
    assert costs["cpu_us_all"] == costs["cpu_us_worker"]
    # 0.1 s for each of as many seconds as it took.
    above = costs["cpu_us_above_rest"] / costs["cpu_us_all"]
    assert above == pytest.approx(max(1 - 0.1 / meter.rate, 0.0))


@pytest.mark.timeout(60)
def test_what_no_client_asked_for_is_told_apart() -> None:
    with program() as burning, program() as idle:
        with Meter(Programs(idle.pid, burning.pid, idle.pid)) as meter:
            go_on(burning)
        costs = meter.us_for_each(1)
        # No title says that it is a client's.
        assert meter.notes(1)["cpu_us_background"] == pytest.approx(costs["cpu_us_postgres"])
