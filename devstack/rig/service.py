"""The service as a process of its own, and the servers under it."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson

from devstack.ports import free_port
from devstack.process import TAIL_LINES, Server
from devstack.stack import Stack, clean_environ, prefixed
from devstack.worker import COMMAND, Worker, prepare, run_command

INTERNAL_KEY: Final = "intern-nyckel"

START_SECONDS: Final = 90.0
#: The limit for a stop (docs/contract.md, section 7).
STOP_SECONDS: Final = 10.0

#: What every worker of the tests is started with, below what a test asks for.
BASICS: Final[Mapping[str, str]] = {
    "HOST": "127.0.0.1",
    "INTERNAL_API_KEY": INTERNAL_KEY,
    "KAFKA_SESSION_TIMEOUT_SECONDS": "4",
    # More lines in which something personal would show.
    "LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "json",
}


class ServiceProcess(Worker):
    """A worker, started as users start it, with its log in a file."""

    poll_seconds: ClassVar[float] = 0.1

    def __init__(
        self,
        environ: Mapping[str, str],
        log_path: Path,
        port: int,
        arguments: Sequence[str] = (),
    ) -> None:
        command = [COMMAND, "worker", *arguments]
        super().__init__(command, port=port, environ=environ, log_path=log_path)

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start the worker and wait until it is ready: longer than for a server."""
        super().start(timeout)

    def begin(self) -> None:
        """Start the worker, and do not wait until it is ready."""
        self._cancelled = False
        self.launch()

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines; without the requests, of which a test that waits makes many."""
        shown = [line for line in self.log.splitlines() if '"source":"web.access"' not in line]
        return "\n".join(shown[-lines:])

    def terminate(self) -> None:
        """Ask for a stop, as an orchestrator does, and do not wait for it."""
        self.send_all(signal.SIGTERM)

    def end(self) -> None:
        """Stop the worker. Raises AssertionError unless it ends in time and in good order."""
        if self.pid is None:
            return
        self.terminate()
        ended = self.wait(STOP_SECONDS)
        self.kill()
        assert ended, f"still running {STOP_SECONDS:g} s after SIGTERM\n{self.log_tail()}"
        assert self.exit_code == 0, f"ended with {self.exit_code}\n{self.log_tail()}"

    def again(self) -> None:
        """Restart the worker; one that runs has to stop in good order first."""
        self.end()
        self.start()

    @property
    def log(self) -> str:
        """Everything that it has written so far, over all its starts."""
        if self.log_path is None or not self.log_path.exists():
            return ""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one kind."""
        lines = (line for line in self.log.splitlines() if line.startswith("{"))
        return [entry for line in lines if (entry := orjson.loads(line))["event"] == event]


class Host:
    """One stack, and on it one worker at a time, on one port, with changing settings."""

    def __init__(
        self, directory: Path, worker_class: type[ServiceProcess] = ServiceProcess
    ) -> None:
        """Choose the ports; nothing starts yet. Only BROKER is taken from our environment.

        `worker_class` says how workers are started.
        """
        broker = os.environ.get("BROKER") or "embedded"
        self.directory = directory
        self._worker_class = worker_class
        self.stack = Stack(directory / "stack", environ={"BROKER": broker})
        self.port = free_port()
        self._workers: list[ServiceProcess] = []
        self._worker: ServiceProcess | None = None
        self._settings: Mapping[str, str] = {}

    def start(self, *, has_schema: bool = False) -> None:
        """Start the servers, with the schema, if it is not there, and the topics."""
        self.stack.start()
        log_dir, environ = self.directory / "log", self._environ({})
        if has_schema:
            run_command("topics", "create", log_dir=log_dir, environ=environ)
        else:
            prepare(log_dir, environ)

    def service(self, settings: Mapping[str, str]) -> ServiceProcess:
        """Return a worker with these settings that is ready: the running one where it fits."""
        if self._worker is not None and self._worker.pid is not None:
            if settings == self._settings:
                self._worker.await_ready(START_SECONDS)
                return self._worker
            self._worker.end()
        self._settings = settings
        self._worker = self._new_worker({"PORT": str(self.port), **settings}, self.port)
        self._worker.start()
        return self._worker

    def another(self, settings: Mapping[str, str], *arguments: str) -> ServiceProcess:
        """Return one more worker that is ready, beside the one of `service`."""
        port = free_port()
        own = {"PORT": str(port), "DATA_DIR": str(self.directory / f"worker-{port}")}
        worker = self._new_worker({**settings, **own}, port, arguments)
        worker.start()
        return worker

    def _new_worker(
        self, settings: Mapping[str, str], port: int, arguments: Sequence[str] = ()
    ) -> ServiceProcess:
        log_path = self.directory / "log" / f"worker-{len(self._workers) + 1}.log"
        worker = self._worker_class(self._environ(settings), log_path, port, arguments)
        self._workers.append(worker)
        return worker

    def server(self, name: str) -> Server:
        """Return one of the stack's servers: `postgres`, `broker` or `valkey`."""
        server = getattr(self.stack, name)
        assert isinstance(server, Server)
        return server

    def stop(self) -> None:
        """Stop everything."""
        for worker in self._workers:
            worker.stop()
        self.stack.stop()

    @property
    def logs(self) -> str:
        """What all workers have written so far."""
        return "".join(worker.log for worker in self._workers)

    def log_tail(self, lines: int) -> str:
        """Return the ends of the logs of the workers that run, or else of the last one."""
        running = [worker for worker in self._workers if worker.pid is not None]
        shown = running or self._workers[-1:]
        return "\n\n".join(worker.log_tail(lines) for worker in shown)

    def _environ(self, settings: Mapping[str, str]) -> dict[str, str]:
        return clean_environ() | self.stack.environ | prefixed({**BASICS, **settings})

    def command_environ(self) -> dict[str, str]:
        """Return the environment of a command that is to find the worker."""
        return self._environ({"PORT": str(self.port)})
