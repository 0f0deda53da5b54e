"""The examples of the pages: found, and how each is run.

Those of docs/api.md are one story, which tests/support/guide.py knows.

An indented or fenced block holds paragraphs. One that begins like a command is an example for a
shell, and is run beside `make run`, as it stands. So are the lines that begin with "$ "; what
surrounds those is output, and so is a paragraph below an example. A command that cannot be run like
this goes into STARTS, RUNS_ON or LEFT_OUT, and a block that is something else into NOT_SHELL.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.support.guide import PAGE as GUIDE
from tests.unit.docs.documents import documents, named

#: How these begin, and why they are not run.
LEFT_OUT: Final = {
    "make install": "the tests run in what it has made, and .ci/run begins with it",
    "make bench": "takes from minutes to hours; tests/stream/bench runs what it is made of",
    "BROKER=apache make bench": "the same, and needs a JDK",
    "class-management outbox retry 1042": "needs a refused message; test_outbox_command.py has it",
    "class-management outbox drop --yes": "needs a refused message; test_outbox_command.py has it",
    "class-management privacy": "needs that student; test_privacy_command.py has it",
    "make faults": "takes from eight minutes to hours; .ci/run has the shortest",
}
#: They are the `make run` beside which the others are run.
STARTS: Final = ("make run", "CLASS_MANAGEMENT_SERVICE_TIMEOUT_HOURS=0.005 make run")
#: They end when somebody ends them.
RUNS_ON: Final = (".venv/bin/class-management worker",)
#: How blocks begin that are no examples for a shell.
NOT_SHELL: Final = ("class-management: ", "GET  /internal/", "kafka-acls.sh ")

_FENCED: Final = re.compile(r"^```(?!mermaid)\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIAGRAM: Final = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)
_INDENTED: Final = re.compile(r"(?:(?:^ {4}.*\n?)+\n*)+", re.MULTILINE)
_PROGRAMS: Final = (
    r"(?:set|make|curl|docker|apt-get|psql|pip|python3?|git|class-management|\.venv/bin/[\w.-]+)"
)
_COMMAND: Final = re.compile(rf"(?:\( ?)?(?:\w+=\S+ )*{_PROGRAMS}(?= |;|$)")
_MAKE: Final = re.compile(r"(?:\w+=\S+ )*make\b")
_COMMENT: Final = re.compile(r"\s+# .*")


@dataclass(frozen=True)
class Example:
    """A few lines for a shell."""

    page: str
    text: str

    @property
    def name(self) -> str:
        """Name it for a person who looks for it."""
        return f"{self.page}: {_COMMENT.sub('', self.text.splitlines()[0])}"

    def begins(self, *ways: str) -> bool:
        """Return whether one of its lines begins in one of these ways."""
        return any(line.lstrip().startswith(ways) for line in self.text.splitlines())

    @property
    def is_run_beside(self) -> bool:
        """Whether it is run as it stands, and ends by itself."""
        return not self.begins(*LEFT_OUT, *STARTS, *RUNS_ON)


def examples() -> list[Example]:
    """Return the examples of all pages."""
    return [example for path in pages() for example in examples_of(path)]


def pages() -> list[Path]:
    """Return the pages whose examples stand each for itself."""
    return [path for path in documents() if path != GUIDE]


def examples_of(path: Path) -> Iterator[Example]:
    """Yield the examples of a page."""
    for block in blocks(path.read_text(encoding="utf-8")):
        for text in _session(block) or _commands(block):
            yield Example(named(path), text)


def blocks(text: str) -> list[str]:
    """Return the blocks of a page, without what sets them apart from its text."""
    text = _DIAGRAM.sub("", text)
    fenced = _FENCED.findall(text)
    indented = _INDENTED.findall(_FENCED.sub("", text))
    return fenced + [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in indented]


def is_understood(block: str) -> bool:
    """Return whether it is known what a block is."""
    return bool(_session(block) or _commands(block)) or block.startswith(NOT_SHELL)


def _session(block: str) -> list[str]:
    """Return what was typed, where a block shows that and what was answered."""
    return re.findall(r"^\$ (.*(?:(?<=\\)\n.*)*)", block, re.MULTILINE)


def _commands(block: str) -> list[str]:
    """Return the paragraphs that begin like a command; of several `make`, each by itself."""
    found = []
    for said, lines in groupby(block.splitlines(), key=lambda line: bool(line.strip())):
        paragraph = list(lines)
        if not said or not _COMMAND.match(paragraph[0]):
            continue
        alone = all(map(_MAKE.match, paragraph))
        found += paragraph if alone else ["\n".join(paragraph)]
    return found
