"""docs/api.md is one story, and each line of it is true: told here beside a running service."""

import ast
import asyncio
import contextlib
import http.client
import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any, Final

import pytest
from class_management_client import ClassManagement

from devstack.http_client import ask
from devstack.ports import free_port
from devstack.process import bound
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.waiting import until
from devstack.stack import PREFIX, REPOSITORY
from tests.support.guide import Block, DifferentError, Meanings, Step, steps
from tests.support.programs import program

STEP_SECONDS: Final = 60.0
#: How often is looked for what comes by Kafka.
READS: Final = 300
POLL_SECONDS: Final = 0.2
#: Of the page: the service, and a worker beside it.
PORT: Final = "5002"
SECOND: Final = "5003"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def clone(tmp_path: Path, host: Host) -> Path:
    """Have a folder that looks like a clone beside whose `make run` somebody reads the guide."""
    for name in ("docs", "class_management"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (tmp_path / ".run").mkdir()
    settings = {**_own(host.command_environ()), f"{PREFIX}DATA_DIR": str(tmp_path / "worker")}
    lines = [f"{name}='{value}'\n" for name, value in settings.items()]
    (tmp_path / ".run" / "stack.env").write_text("".join(lines), encoding="utf-8")
    return tmp_path


async def test_the_guide_is_true(
    clone: Path, host: Host, service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("curl")
    assert service.pid is not None
    monkeypatch.chdir(clone)
    for name, value in _own(host.command_environ()).items():
        monkeypatch.setenv(name, value)
    reader = Reader(Meanings({PORT: str(host.port), SECOND: str(free_port())}))
    try:
        for step in steps():
            await reader.follow(step)
    finally:
        await reader.close()


@dataclass
class Reader:
    """Somebody who types what the page has, one thing after the other."""

    meanings: Meanings
    names: dict[str, Any] = field(default_factory=dict)
    """What Python knows by now."""
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    async def close(self) -> None:
        """Close the clients, which a page that fails leaves open, and end the other workers."""
        for known in self.names.values():
            if isinstance(known, ClassManagement):
                await known.aclose()
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGINT)
        for worker in self.workers:
            try:
                worker.wait(STEP_SECONDS)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)

    async def follow(self, step: Step) -> None:
        """Do a step and compare the answer; read again until it is what the page has."""
        if step.runs_on:
            await self._begin(self.meanings.spoken(step.command.text))
            return
        attempts = READS if step.only_reads else 1
        for left in reversed(range(attempts)):
            async with asyncio.timeout(STEP_SECONDS):
                said = await self._said(step.command)
            try:
                if step.answer:
                    self.meanings.compare(step.answer, said)
            except DifferentError as error:
                if not left:
                    error.add_note(f"{step.place}\n{self.meanings.spoken(step.command.text)}")
                    raise
                await asyncio.sleep(POLL_SECONDS)
            else:
                return

    async def _begin(self, text: str) -> None:
        self.workers.append(_begun(text))
        port = int(self.meanings.words[SECOND])

        async def is_ready() -> bool:
            try:
                return (await asyncio.to_thread(ask, port, "/readyz")).is_ok
            except (OSError, http.client.HTTPException):
                return False

        await until("a second worker", is_ready)

    async def _said(self, command: Block) -> str:
        text = self.meanings.spoken(command.text)
        if command.kind == "python":
            return await self._typed_into_python(text)
        return await asyncio.to_thread(_typed_into_a_shell, text)

    async def _typed_into_python(self, text: str) -> str:
        """Do what `python -m asyncio` does with a block."""
        code = compile(text, "docs/api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            result = eval(code, self.names)  # noqa: S307  # the page's own text
            if code.co_flags & CO_COROUTINE:
                await result
        return output.getvalue()


def _begun(text: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        bound(["/bin/sh", "-e", "-c", text]),
        env=_environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}


def _typed_into_a_shell(text: str) -> str:
    done = subprocess.run(
        bound(["/bin/sh", "-e", "-c", text]),
        env=_environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_SECONDS,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {n: v for n, v in environ.items() if n.startswith(PREFIX)}
