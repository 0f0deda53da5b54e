"""Whether the make that started us is ending."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from devstack.make import watch_make

#: Blocks and unblocks SIGINT as it is told.
_MAKE = """
import signal, sys
for line in sys.stdin:
    how = signal.SIG_BLOCK if line == "block\\n" else signal.SIG_UNBLOCK
    signal.pthread_sigmask(how, {signal.SIGINT})
    print("done", flush=True)
"""


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have a make over us, and return what tells it to block or unblock interrupts."""
    command = [sys.executable, "-c", _MAKE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as make:
        monkeypatch.setenv("MAKELEVEL", "1")
        monkeypatch.setattr(os, "getppid", lambda: make.pid)

        def told(what: str) -> None:
            assert make.stdin is not None
            assert make.stdout is not None
            make.stdin.write(f"{what}\n")
            assert make.stdout.readline() == "done\n"

        yield told
        make.kill()


def test_a_make_in_its_handler_is_ending(tell: Callable[[str], None]) -> None:
    is_ending = watch_make()
    assert not is_ending()
    tell("block")
    assert [is_ending(), is_ending()] == [False, True]


def test_a_make_that_starts_a_command_is_not(tell: Callable[[str], None]) -> None:
    is_ending = watch_make()
    for _ in range(3):
        tell("block")
        assert not is_ending()
        tell("unblock")
        assert not is_ending()


def test_a_make_that_is_gone_is_ending(
    tell: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell("unblock")
    is_ending = watch_make()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert is_ending()
