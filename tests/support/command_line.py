"""The command line, called as a program."""

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Self

import orjson

from class_management.settings import PREFIX
from devstack.ports import free_port
from devstack.process import bound
from devstack.stack import REPOSITORY
from devstack.worker import COMMAND
from tests.support.command_server import Request, ask

SECONDS: Final = 90
DAMAGED: Final = "cannot be decoded, left out"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  # what a test takes apart
        return orjson.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.out.splitlines()]

    def but_for_damage(self) -> Self:
        """Return it without what it tells of damaged batches of other tests, in the same broker."""
        told = [line for line in self.err.splitlines(keepends=True) if DAMAGED not in line]
        return replace(self, err="".join(told))


async def call(*arguments: str, environ: Mapping[str, str], stdin: bytes = b"") -> Done:
    _server()  # here: the kernel ends it with the thread that starts it
    done = await asyncio.to_thread(forked, *arguments, environ=environ, stdin=stdin)
    assert "Traceback" not in done.err, done.err
    return done


def forked(*arguments: str, environ: Mapping[str, str], stdin: bytes = b"") -> Done:
    """Run a command in a fork of a process that has imported all of it."""
    request = Request(arguments=arguments, environ=dict(environ), stdin=stdin)
    reply = ask(_server(), request, SECONDS)
    return Done(reply["code"], reply["out"].decode(), reply["err"].decode())


@cache
def _server() -> str:
    """Start the process to be forked; return its socket. It ends with this process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = f"{folder}/commands"
    command = [sys.executable, "-m", "tests.support.command_server", path]
    process = subprocess.Popen(bound(command), cwd=REPOSITORY, stdout=subprocess.PIPE)
    atexit.register(process.kill)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
    return path


def run_forked(
    *arguments: str, stdin: str = "", **settings: str
) -> "subprocess.CompletedProcess[str]":
    done = forked(*arguments, environ=environ(settings), stdin=stdin.encode())
    return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)


def run(*arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *arguments],
        env=environ(settings),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def environ(settings: Mapping[str, str | None]) -> dict[str, str]:
    """Return this environment with these settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    own = {PREFIX + name: value for name, value in settings.items() if value is not None}
    return inherited | own


def nowhere() -> str:
    """Return an address where nothing listens."""
    return f"127.0.0.1:{free_port()}"
