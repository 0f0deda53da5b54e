"""What the files of the deployment say, each read once."""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import yaml

from devstack.stack import REPOSITORY

#: The rooms that are not installed.
DEVELOPMENT: Final = {"bench", "devstack", "faults", "tests"}

_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def wheel() -> dict[str, Any]:
    """Return what goes into the wheel, and where."""
    found: dict[str, Any] = project()["tool"]["hatch"]["build"]["targets"]["wheel"]
    return found


@cache
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(
        (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
    )
    return parsed


def services() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]
    return found


def environment_of(service: str) -> dict[str, str | None]:
    """Return a service's environment where the shell has nothing; None: left to the shell."""
    return {
        name: value if value is None else _VARIABLE.sub(r"\2", str(value))
        for name, value in services()[service]["environment"].items()
    }


@cache
def dockerfile() -> tuple[tuple[str, str], ...]:
    """Return the instructions, each with its arguments as one line."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return tuple(_split(line) for line in joined.splitlines())


def _split(line: str) -> tuple[str, str]:
    name, _, arguments = line.partition(" ")
    return name, arguments.strip()


def arguments_of(instruction: str) -> list[str]:
    return [arguments for name, arguments in dockerfile() if name == instruction]


def image_environment() -> Mapping[str, str]:
    words = shlex.split(" ".join(arguments_of("ENV")))
    return dict(word.split("=", 1) for word in words)


def copied() -> Iterator[str]:
    """Name what the image takes from the repository."""
    for arguments in arguments_of("COPY"):
        words = shlex.split(arguments)
        if not any(word.startswith("--from") for word in words):
            yield from (os.path.normpath(source) for source in words[:-1])
