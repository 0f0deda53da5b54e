"""Child processes that never outlive this one.

`Child` is a process with a log; `Server` is a child that listens on a port of
127.0.0.1 and knows when it is ready. Both are stopped, killed, paused and
resumed by their own process id, never by name.

A child dies with the program that started it, also after `kill -9` of that program:
`setpriv` asks the kernel for a SIGKILL at the parent's death (PR_SET_PDEATHSIG) and
then becomes the child. To the kernel the parent is the *thread* that started the child,
so one thread that lives as long as the program starts all children; a child started
from an executor of asyncio would die with that executor. The kernel also forgets the
request when a process changes its user: `setpriv` can do both in the right order. A
`preexec_fn` is not safe in a program with threads.
"""

import abc
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ClassVar, Protocol, Self

from devstack.ports import LOOPBACK, free_port

POLL_SECONDS = 0.01
STOP_SECONDS = 8.0
START_SECONDS = 30.0
TAIL_LINES = 20

_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devstack-spawner")


class DevstackError(Exception):
    """A part of the development stack did not start, stop or work as requested."""


class Running(Protocol):
    """What is asked of a process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """Return the exit code (negative: by that signal), None while it runs."""

    def wait(self, timeout: float) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""


class Child:
    """A child process in its own session, with its output in a log."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        name: str,
        *,
        log_path: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Without `log_path` the output goes to the terminal; `environ` is ours by default."""
        self.name = name
        self.log_path = log_path
        self._environ = environ
        self._process: Running | None = None
        self._log_started = False
        self._cancelled = False
        # Held while a process is started, so that a stop from another thread finds
        # either no process, and then none starts, or the one to end.
        self._starting = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last process (negative: by that signal); None while it runs."""
        return None if self._process is None else self._process.poll()

    def spawn(self, command: Sequence[str], *, setpriv: Sequence[str] = ()) -> Running:
        """Start the process; `setpriv` are further options of that program.

        Raises `DevstackError` if it is running or was stopped in the meantime.
        """
        with self._starting:
            if self._cancelled:
                raise DevstackError(f"{self.name}: stopped before it had started")
            if self.pid is not None:
                raise DevstackError(f"{self.name}: runs already, as process {self.pid}")
            with self._opened_log() as log:
                self._process = self._begun(command, setpriv, log)
            return self._process

    def run(self, command: Sequence[str], *, timeout: float, setpriv: Sequence[str] = ()) -> None:
        """Run a command to its end, at most `timeout` seconds.

        Raises `DevstackError`, with the end of the log, if it fails or takes longer.
        """
        process = self.spawn(command, setpriv=setpriv)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failure(f"took more than {timeout:g} s") from None
        if code != 0:
            raise self._failure(f"{Path(command[0]).name} ended with exit code {code}")

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end; return whether it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop the process; after `timeout` seconds kill it."""
        self._cancel()
        if (pid := self.pid) is not None:
            self.resume()
            send(pid, self.stop_signal)
            self.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Kill the process, as a crash would."""
        self._cancel()
        self.send_all(signal.SIGKILL)
        self.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Freeze the process: its connections stay, and nothing answers.

        A thread that runs on another core may go on for a moment after the signal, and answer: this
        returns when all have stopped.
        """
        self.send_all(signal.SIGSTOP)
        deadline = time.monotonic() + STOP_SECONDS
        while not all(map(_is_stopped, self._members())) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def resume(self) -> None:
        """Continue a frozen process."""
        self.send_all(signal.SIGCONT)

    def send_all(self, number: signal.Signals) -> None:
        """Send a signal to all processes of this child; safe in a signal handler."""
        for pid in self._members():
            send(pid, number)

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """Return the log's last lines; "" if the output goes to the terminal."""
        if self.log_path is None or not self.log_path.exists():
            return ""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _members(self) -> Iterator[int]:
        """Yield the processes of this child, first the one that was spawned."""
        if (pid := self.pid) is not None:
            yield pid

    def _cancel(self) -> None:
        """Prevent a start that is under way from spawning a process."""
        with self._starting:
            self._cancelled = True

    def _failure(self, what: str) -> DevstackError:
        """Return an error with the end of the log."""
        tail = self.log_tail()
        return DevstackError(f"{self.name}: {what}" + (f"; its log ends:\n{tail}" if tail else ""))

    @contextlib.contextmanager
    def _opened_log(self) -> Iterator[IO[bytes] | None]:
        if self.log_path is None:
            yield None
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        # Truncated once per run of this program, then appended to by restarts.
        with self.log_path.open("ab" if self._log_started else "wb") as log:
            self._log_started = True
            yield log

    def _begun(
        self, command: Sequence[str], setpriv: Sequence[str], log: IO[bytes] | None
    ) -> Running:
        """Start the process, with its output in the log."""
        return _spawner.submit(
            subprocess.Popen,
            bound(command, *setpriv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self._environ,
            # Ctrl-C at the terminal is for the supervisor, which stops the children in order.
            start_new_session=True,
        ).result()


class Server(Child, abc.ABC):
    """A child that listens on 127.0.0.1, by default on a free port, the same after each start."""

    poll_seconds: ClassVar[float] = POLL_SECONDS
    """The time between two checks whether it is ready."""

    def __init__(
        self,
        name: str,
        *,
        log_path: Path | None = None,
        port: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, log_path=log_path, environ=environ)
        self.host = LOOPBACK
        self.port = free_port() if port is None else port

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start the server and wait until it is ready, at most `timeout` seconds.

        Raises `DevstackError`, with the end of the log, if it is not.
        """
        self._cancelled = False
        self.prepare()
        self.launch()
        self.await_ready(timeout)

    def await_ready(self, timeout: float) -> None:
        """Wait until the server is ready, at most `timeout` seconds.

        Otherwise kills it and raises `DevstackError`.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self.pid is None:
                raise self._failure(f"ended by itself with exit code {self.exit_code}")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"not ready within {timeout:g} s{self.hint()}")
            time.sleep(self.poll_seconds)

    def restart(self, timeout: float = START_SECONDS) -> None:
        """Stop the server and start it on the same port with its data."""
        self.stop()
        self.start(timeout)

    def prepare(self) -> None:
        """Create what the server needs before its first start."""

    @abc.abstractmethod
    def launch(self) -> None:
        """Spawn the server's process."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Check once, with a short timeout, whether the server is ready."""

    def hint(self) -> str:
        """Return details for the error of a server that does not become ready."""
        return ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def bound(command: Sequence[str], *setpriv: str) -> list[str]:
    """Return the command as one that the kernel kills when the thread that started it ends.

    Raises `DevstackError` where setpriv, which takes further options, is missing.
    """
    return [find_setpriv(), "--pdeathsig", "KILL", *setpriv, "--", *command]


def find_setpriv() -> str:
    """Find the program that becomes the child. Raises `DevstackError` if it is missing."""
    if path := shutil.which("setpriv"):
        return path
    raise DevstackError("the program setpriv is missing; it belongs to util-linux")


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal, unless the process has just ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def state_and_parent(entry: Path) -> tuple[str, int]:
    """Read the state letter of a process or thread and its parent's id; X and 0 if it has ended."""
    try:
        text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X", 0
    # They follow the name, which is in parentheses and may contain some.
    state, ppid = text.rpartition(")")[2].split()[:2]
    return state, int(ppid)


def _is_stopped(pid: int) -> bool:
    """Return whether no thread of the process runs; it may have ended."""
    threads = Path(f"/proc/{pid}/task").glob("*")
    return all(state_and_parent(thread)[0] in "TtZX" for thread in threads)
