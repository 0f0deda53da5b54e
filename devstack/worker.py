"""The service's own program: its worker as a child process, and its commands."""

import http.client
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Final

from devstack.http_client import ask
from devstack.process import Child, Server
from devstack.stack import in_parallel

#: The installed script beside this interpreter.
COMMAND: Final = str(Path(sys.executable).with_name("class-management"))
COMMAND_SECONDS: Final = 60.0
PROBE_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.02


class Worker(Server):
    """A program that is ready when `GET /readyz` says so."""

    poll_seconds: ClassVar[float] = POLL_SECONDS
    ready: ClassVar[frozenset[HTTPStatus]] = frozenset({HTTPStatus.OK})
    """The statuses of `/readyz` that mean ready."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        environ: Mapping[str, str],
        log_path: Path | None = None,
        name: str = "worker",
    ) -> None:
        """`command` has to configure the port itself."""
        super().__init__(name, log_path=log_path, port=port, environ=environ)
        self._command = command
        self._last_answer = "nothing"

    def launch(self) -> None:
        """Spawn the command."""
        self.spawn(self._command)

    def is_ready(self) -> bool:
        """Send `GET /readyz`; keep the answer for `hint`."""
        try:
            answer = ask(self.port, "/readyz", host=self.host, timeout=PROBE_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            self._last_answer = str(error) or type(error).__name__
            return False
        self._last_answer = f"{answer.status} {answer.text}"
        return answer.status in self.ready

    def hint(self) -> str:
        """Return the last answer of /readyz."""
        return f"; GET /readyz said last: {self._last_answer}"


def run_command(
    *arguments: str, log_dir: Path, environ: Mapping[str, str], timeout: float = COMMAND_SECONDS
) -> None:
    """Run one of the service's commands to its end. Raises `DevstackError` if it fails."""
    name = arguments[0]
    child = Child(name, log_path=log_dir / f"{name}.log", environ=environ)
    child.run([COMMAND, *arguments], timeout=timeout)


def prepare(log_dir: Path, environ: Mapping[str, str], timeout: float = COMMAND_SECONDS) -> None:
    """Create the schema and the topics that a worker needs."""
    in_parallel(
        lambda: run_command("migrate", log_dir=log_dir, environ=environ, timeout=timeout),
        lambda: run_command("topics", "create", log_dir=log_dir, environ=environ, timeout=timeout),
    )
