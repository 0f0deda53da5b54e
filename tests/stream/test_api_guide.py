"""docs/api.md is one story, and each line of it is true: told here beside a running service."""

import ast
import asyncio
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any, Final

import pytest

from devstack.process import bound
from devstack.rig.service import Host, ServiceProcess
from devstack.stack import REPOSITORY
from tests.support.guide import Block, Meanings, steps
from tests.support.programs import program

STEP_SECONDS: Final = 60.0
ADDRESS: Final = "127.0.0.1:5002"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def clone(tmp_path: Path, host: Host) -> Path:
    """Have a folder that looks like a clone beside whose `make run` somebody reads the guide."""
    for name in ("docs", "class_management"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (tmp_path / ".run").mkdir()
    lines = [f"{name}='{value}'\n" for name, value in _own(host.command_environ()).items()]
    (tmp_path / ".run" / "stack.env").write_text("".join(lines), encoding="utf-8")
    return tmp_path


async def test_the_guide_is_true(
    clone: Path, host: Host, service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("curl")
    assert service.pid is not None
    monkeypatch.chdir(clone)
    meanings = Meanings({ADDRESS: f"127.0.0.1:{host.port}"})
    names: dict[str, Any] = {}
    try:
        for step in steps():
            print(step.name)
            said = await _run(step.command, meanings, names)
            if step.answer:
                meanings.compare(step.answer, said)
    finally:
        await _run(Block(0, "python", names.get("_close", "pass")), meanings, names)


async def _run(command: Block, meanings: Meanings, names: dict[str, Any]) -> str:
    text = meanings.spoken(command.text)
    async with asyncio.timeout(STEP_SECONDS):
        if command.kind == "python":
            return await _typed_into_python(text, names)
        return await asyncio.to_thread(_typed_into_a_shell, text)


async def _typed_into_python(text: str, names: dict[str, Any]) -> str:
    """Do what `python -m asyncio` does with a block."""
    code = compile(text, "docs/api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        result = eval(code, names)  # noqa: S307  # the page's own text
        if code.co_flags & CO_COROUTINE:
            await result
    return output.getvalue()


def _typed_into_a_shell(text: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    done = subprocess.run(
        bound(["/bin/sh", "-e", "-c", text]),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_SECONDS,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {n: v for n, v in environ.items() if n.startswith("CLASS_MANAGEMENT_SERVICE_")}
