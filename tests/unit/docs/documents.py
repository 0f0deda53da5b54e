"""The documents that the tests of this folder read, and what is written in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devstack.stack import REPOSITORY

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED: Final = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)


def documents() -> list[Path]:
    """Every page that people read in the repository."""
    rooms = [REPOSITORY / "bench" / "README.md", REPOSITORY / "faults" / "README.md"]
    return [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *rooms]


def named(path: Path) -> str:
    """Return the name of a page, for messages."""
    return str(path.relative_to(REPOSITORY))


def fences(text: str, language: str) -> list[str]:
    """Return the blocks of a page that are written in a language."""
    return [block for found, block in _FENCE.findall(text) if found == language]


def prose(text: str) -> str:
    """Return a page without its blocks, which may be examples."""
    return _INDENTED.sub("", _FENCE.sub("", text))


def lines_of(block: str) -> Iterator[str]:
    """Yield the lines of a block that say something."""
    for line in block.splitlines():
        if stripped := line.strip():
            yield stripped
