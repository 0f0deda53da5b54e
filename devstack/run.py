"""`make run`: a working service on embedded servers, until a signal stops it."""

import contextlib
import fcntl
import os
import queue
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from devstack.make import watch_make
from devstack.ports import is_free, reachable
from devstack.process import Child, DevstackError
from devstack.secret import kept_secret, write_private
from devstack.stack import PREFIX, Stack, in_parallel
from devstack.worker import COMMAND_SECONDS, Worker

WORKER_STOP_SECONDS = 6.0
WATCH_SECONDS = 0.2
EXIT_KILLED = 130

# The file for other programs, written once the service is ready.
STACK_ENV = "stack.env"
# What is one worker's own: two with the same would push each other out, or be one address.
OWN = (PREFIX + "ADVERTISED_URL", PREFIX + "KAFKA_GROUP_INSTANCE_ID")


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    run_dir: Path
    """The folder of data, logs and `stack.env`."""
    host: str
    port: int
    service: Sequence[str]
    """The command that runs the service's own commands."""
    ready_seconds: float
    """The limit for the worker to become ready."""


def sign_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Let people say on the console's pages who they are, unless we are told who knows it."""
    name = PREFIX + "CONSOLE_SIGN_IN"
    told = (name, PREFIX + "GATEWAY_JWT_KEY", PREFIX + "ENVIRONMENT")
    return {} if any(environ.get(one) for one in told) else {name: "development"}


class Run:
    """One run: the servers, the commands that prepare them, and the worker."""

    def __init__(self, options: Options, environ: Mapping[str, str]) -> None:
        """Choose ports and keys; nothing starts yet."""
        self._options = options
        self._began = time.monotonic()
        self._stop_requested = False
        self._make_is_ending = watch_make()
        self._killed = False
        # Wakes the main thread. An Event would deadlock: a signal handler that sets it
        # while the main thread is entering `wait` or `set` waits for the lock that its
        # own thread holds. This queue is safe in signal handlers.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stack_env = options.run_dir / STACK_ENV
        self._stack = Stack(options.run_dir, environ=environ, report=self._say)
        self._environ = self._service_environ(environ)
        self._migrate = self._child("migrate")
        self._topics = self._child("topics")
        # Its output goes to the terminal.
        self._worker = Worker(
            [*options.service, "worker"], port=options.port, environ=self._environ
        )
        self._worker.host = reachable(options.host)

    def execute(self) -> int:
        """Run until a signal or the worker's own end; return the exit code.

        Raises `DevstackError` if something does not start.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            self._start()
            code = 0
            if not self._stop_requested:
                self._announce()
                code = self._watch()
        finally:
            self._stop()
        return EXIT_KILLED if self._killed else code

    def _service_environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the service's commands and its worker."""
        own = {PREFIX + "HOST": self._options.host, PREFIX + "PORT": str(self._options.port)}
        key = PREFIX + "INTERNAL_API_KEY"
        if not environ.get(key):
            own[key] = kept_secret(self._options.run_dir / "internal-api-key")
        return {**environ, **self._stack.environ, **own, **sign_in(environ)}

    def _child(self, name: str) -> Child:
        log_path = self._options.run_dir / "log" / f"{name}.log"
        return Child(name, log_path=log_path, environ=self._environ)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Request a stop; kill at a Ctrl-C after an earlier request."""
        if number == signal.SIGINT and self._stop_requested:
            self._killed = True
            for child in (self._worker, self._migrate, self._topics, *self._stack.servers):
                child.send_all(signal.SIGKILL)
        self._stop_requested = True
        self._wake.put(None)

    def _start(self) -> None:
        """Start everything in a thread, so that a signal can end it at any time."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            bringing_up = thread.submit(self._bring_up)
            bringing_up.add_done_callback(lambda _: self._wake.put(None))
            while not bringing_up.done() and not self._stopping_within(WATCH_SECONDS):
                pass
            if self._stop_requested:
                self._stop_children()
        # After a stop, a failed start is expected.
        if not self._stop_requested:
            bringing_up.result()

    def _bring_up(self) -> None:
        """Start the servers, then the commands that prepare them and, beside those, the worker.

        The worker waits until the schema and the topics exist, and takes a while to load
        before it needs them.
        """
        self._stack.start()
        in_parallel(
            lambda: self._command(self._migrate, "migrate"),
            lambda: self._command(self._topics, "topics", "create"),
            self._start_worker,
            on_failure=self._stop_children,
        )

    def _start_worker(self) -> None:
        if not self._stop_requested:
            began = time.monotonic()
            self._worker.start(self._options.ready_seconds)
            self._say(f"worker ready after {time.monotonic() - began:.2f} s")

    def _command(self, child: Child, *arguments: str) -> None:
        """Run one of the service's commands to its end."""
        began = time.monotonic()
        child.run([*self._options.service, *arguments], timeout=COMMAND_SECONDS)
        self._say(f"{' '.join(arguments)} done after {time.monotonic() - began:.2f} s")

    def _announce(self) -> None:
        """Print the addresses, and write the settings to the file for other programs."""
        settings = self._settings_for_others()
        write_private(
            self._stack_env,
            "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()),
        )
        print(
            f"\n  The Class Management Service is ready, {self._seconds()} after the start.\n\n"
            f"    HTTP        http://{self._worker.address}\n"
            f"    Console     http://{self._worker.address}/console\n"
            f"    PostgreSQL  {settings.get(PREFIX + 'DATABASE_URL', '')}\n"
            f"    Kafka       {settings.get(PREFIX + 'KAFKA_BOOTSTRAP_SERVERS', '')}\n"
            f"    Redis       {settings.get(PREFIX + 'REDIS_URL', '')}\n\n"
            f"{self._how_to_sign_in()}"
            f"  The same, with the internal API key, for programs: {self._stack_env}\n"
            f"  Logs of the servers: {self._options.run_dir / 'log'}\n"
            "  Ctrl-C stops everything.\n",
            flush=True,
        )

    def _how_to_sign_in(self) -> str:
        if self._environ.get(PREFIX + "CONSOLE_SIGN_IN") != "development":
            return ""
        return (
            "  On the console's pages anybody signs in as any teacher, and as an operator with\n"
            f"  the internal API key: {PREFIX}INTERNAL_API_KEY in the file below.\n"
        )

    def _settings_for_others(self) -> dict[str, str]:
        """Return what a command needs, and a second worker, which has to choose its own PORT."""
        given = {
            name: value
            for name, value in self._environ.items()
            if name.startswith(PREFIX) and value and name not in OWN
        }
        return given | {PREFIX + "DATA_DIR": str(self._stack.second_data_dir)}

    def _watch(self) -> int:
        """Wait for a signal, or for the worker's own end; return the exit code."""
        alive = set(self._stack.servers)
        while not self._stopping_within(WATCH_SECONDS):
            if self._worker.pid is None:
                self._say(f"the worker ended by itself, exit code {self._worker.exit_code}")
                return 1
            for server in [server for server in alive if server.pid is None]:
                alive.discard(server)
                self._say(
                    f"{server.name} ended by itself; its log: {server.log_path}. "
                    "Stop with Ctrl-C and run again"
                )
        return 0

    def _stopping_within(self, seconds: float) -> bool:
        """Wait for a signal up to this long; return whether a stop was requested."""
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=seconds)
        self._stop_requested = self._stop_requested or self._make_is_ending()
        return self._stop_requested

    def _stop(self) -> None:
        """Stop the worker, then the rest."""
        began = time.monotonic()
        self._stack_env.unlink(missing_ok=True)
        self._say("stopping")
        self._stop_children()
        self._say(f"stopped after {time.monotonic() - began:.2f} s")

    def _stop_children(self) -> None:
        for child in (self._migrate, self._topics):
            child.kill()
        self._worker.stop(WORKER_STOP_SECONDS)
        self._stack.stop()

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:.2f} s"

    def _say(self, text: str) -> None:
        """Print a line with the time since the start; ignore a closed terminal."""
        with contextlib.suppress(OSError):
            print(f"[{self._seconds():>8}] {text}", flush=True)


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Run the service until a signal stops it; return the exit code.

    Raises `DevstackError` if the port is taken, the folder is in use, or something does
    not start.
    """
    with alone_in(options.run_dir):
        # One that a killed run left behind would give programs wrong addresses.
        (options.run_dir / STACK_ENV).unlink(missing_ok=True)
        _check_port(options)
        return Run(options, environ).execute()


def _check_port(options: Options) -> None:
    where = f"port {options.port} on {options.host}"
    try:
        if is_free(options.host, options.port):
            return
    except OSError as error:
        raise DevstackError(f"can't listen at {where}: {error.strerror}") from None
    raise DevstackError(
        f"{where} is in use; choose another with {PREFIX}PORT=... or make run ARGS='--port ...'"
    )


@contextlib.contextmanager
def alone_in(run_dir: Path) -> Iterator[None]:
    """Lock the folder for this run. Raises `DevstackError` if another run holds the lock.

    The kernel releases the lock when its holder dies, for whatever reason.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DevstackError(
                f"process {file.read() or 'unknown'} runs the service from {run_dir} already"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
