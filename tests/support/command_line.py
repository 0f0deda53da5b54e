"""The command line, called as a program."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from class_management.settings import PREFIX
from devstack.ports import free_port
from devstack.worker import COMMAND

SECONDS: Final = 90


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


async def call(*arguments: str, environ: Mapping[str, str], stdin: bytes = b"") -> Done:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    assert "Traceback" not in err.decode(), err.decode()
    return Done(process.returncode, out.decode(), err.decode())


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
