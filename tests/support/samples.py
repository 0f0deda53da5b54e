"""Roster files as people have them (tests/samples/rosters/), and how each is to be read.

Beside each file NAME stands NAME.contents.json: how it is sent (`read`), and what it says, without
what is at its default; or why it is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

import orjson

from rules.imports.files import FileContents, FileRefusedError, Format
from rules.imports.reading import read

FOLDER: Final = Path(__file__).parents[1] / "samples" / "rosters"
SUFFIX: Final = ".contents.json"
#: What a file would change of a school (tests/unit/rules/imports/test_sample_plans.py).
PLAN_SUFFIX: Final = ".plan.txt"


@dataclass(frozen=True)
class Sample:
    """A file: how it is sent, and what is expected of it."""

    path: Path
    expected: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_refused(self) -> bool:
        return "refused" in self.expected

    def read(self) -> FileContents:
        """Read the file as it is sent. Raises FileRefusedError."""
        sent = self.expected["read"]
        return read(
            self.path.read_bytes(),
            Format.ONEROSTER if self.path.suffix == ".zip" else Format.CSV,
            charset=sent.get("charset"),
            for_class=sent["for_class"],
        )

    def told(self) -> dict[str, Any]:
        """Return what reading gives, in the form of what is expected."""
        try:
            contents = self.read()
        except FileRefusedError as error:
            return {"refused": error.detail}
        told: dict[str, Any] = plain(contents)
        return told


def samples() -> Iterator[Sample]:
    for path in sorted(FOLDER.glob(f"*{SUFFIX}")):
        file = path.with_name(path.name.removesuffix(SUFFIX))
        yield Sample(file, orjson.loads(path.read_bytes()))


def plain(value: Any) -> Any:  # noqa: ANN401  # whatever is in a dataclass
    """Return a value as JSON has it, of dataclasses what is not at its default."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    shown = ((one.name, getattr(value, one.name), one.default) for one in fields(value))
    return {name: plain(given) for name, given, default in shown if given not in (default, None)}
