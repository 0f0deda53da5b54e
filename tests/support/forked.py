"""Workers that are forked from a process that has imported the program.

More than half of what a worker's start computes is imports, and the tests of streams start several
hundred workers. Those of the development stack, of the installed program, of the fault runs and of
the bench are started as users start them.
"""

import atexit
import gc
import multiprocessing
import multiprocessing.connection
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from class_management.cli.main import main
from devstack.process import Running
from devstack.rig.service import ServiceProcess
from tests.support.command_server import become

#: Where modules are looked for.
_PATH: Final = os.environ.get("PYTHONPATH")

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(["class_management.worker", __name__])


class ForkedWorker(ServiceProcess):
    """A worker that need not import anything, with the environment and log of any other."""

    def _begun(
        self, command: Sequence[str], setpriv: Sequence[str], log: IO[bytes] | None
    ) -> Running:
        environ = os.environ if self._environ is None else self._environ
        # A folder of modules that is to be looked into first would come too late.
        if setpriv or log is None or environ.get("PYTHONPATH") != _PATH:
            return super()._begun(command, setpriv, log)
        return _Forked(command[1:], environ, Path(log.name))


class _Forked:
    """The process, as `Running` has it."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._process = _forkserver.Process(
            target=_run, args=(list(arguments), dict(environ), log), daemon=True
        )
        # Two threads that look at once would take one exit code for two.
        self._lock = threading.Lock()
        self._process.start()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    def poll(self) -> int | None:
        with self._lock:
            return self._process.exitcode

    def wait(self, timeout: float) -> int:
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("worker", timeout)
        return code


def _run(arguments: list[str], environ: dict[str, str], log: Path) -> None:
    """Become a worker: in a session of its own, which ends with the process that forks."""
    # A search for garbage would copy what is shared.
    gc.freeze()
    # Among them what would keep the process that forks alive when the tests are gone.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.setsid()
    null, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND)
    become(arguments, environ, (null, written, written))
    try:
        main(arguments, prog_name="class-management")
    finally:
        atexit._run_exitfuncs()
