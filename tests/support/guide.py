"""docs/api.md: its examples, in their order, and how their answers are compared with real ones.

A block says what it is: `sh` is typed into a shell, `python` into `python -m asyncio`; `http`,
`json` and `text` are the answer to what stands before. The page is the tale of one run: its ids,
tags and cursors stand for those of the run that is compared with it, each for the same one all over
the page. Of headers the page has those that matter. Instants are only to be instants.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from devstack.stack import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "api.md"
COMMANDS: Final = ("sh", "python")
ANSWERS: Final = ("http", "json", "text")

_WORKER: Final = re.compile(r"\bclass-management worker\b")
_WRITES: Final = re.compile(r" (?:-d|-X) | suggest\.py ")
_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)")
_TAG: Final = re.compile(r'"[^"]+"')
#: Members whose texts mean nothing to anybody but the service.
_OPAQUE: Final = frozenset({"next_cursor"})


@dataclass(frozen=True)
class Block:
    """A block of the page."""

    line: int
    kind: str
    text: str


@dataclass(frozen=True)
class Step:
    """A command, and the answer that the page has for it, if any."""

    command: Block
    answer: Block | None

    @property
    def place(self) -> str:
        """Say where it stands."""
        return f"docs/api.md:{self.command.line}"

    @property
    def runs_on(self) -> bool:
        """Whether it is a service, which others are to be run beside."""
        return self.command.kind == "sh" and _WORKER.search(self.command.text) is not None

    @property
    def only_reads(self) -> bool:
        """Whether it may be done again until the answer is there."""
        return self.command.kind == "sh" and not _WRITES.search(self.command.text)


def blocks() -> Iterator[Block]:
    """Yield the blocks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(text.count("\n", 0, found.start()) + 1, found[1], found[2])


def steps() -> list[Step]:
    """Return the commands in their order, with their answers."""
    found: list[Step] = []
    for block in blocks():
        if block.kind in COMMANDS:
            found.append(Step(block, None))
        else:
            assert found, f"docs/api.md:{block.line}: an answer to nothing"
            assert found[-1].answer is None, f"docs/api.md:{block.line}: a second answer"
            found[-1] = Step(found[-1].command, block)
    return found


class DifferentError(AssertionError):
    """The page does not say what the service answers."""


@dataclass
class Meanings:
    """What words of the page stand for in this run."""

    words: dict[str, str] = field(default_factory=dict)

    def spoken(self, text: str) -> str:
        """Return a text of the page in the words of this run."""
        for written, real in sorted(self.words.items(), key=lambda item: -len(item[0])):
            text = text.replace(written, real)
        return text

    def written(self, text: str) -> str:
        """Return a text of this run in the words of the page, as far as it has them."""
        for written, real in self.words.items():
            text = text.replace(real, written)
        return text

    def compare(self, answer: Block, real: str) -> None:
        """Compare an answer of the page with the real one. Raises DifferentError."""
        meant = Meanings(dict(self.words))
        compare = {"http": meant._http, "json": meant._json, "text": meant._text}[answer.kind]
        try:
            compare(answer.text, real)
        except DifferentError as error:
            raise DifferentError(f"{error}\n\nreal:\n{self.written(real)}") from None
        self.words = meant.words

    def _http(self, written: str, real: str) -> None:
        head, _, body = written.partition("\n\n")
        real_head, _, real_body = real.replace("\r\n", "\n").partition("\n\n")
        status, *fields = head.splitlines()
        real_status, *real_fields = real_head.splitlines()
        self._same_text(status, real_status)
        found = dict(_field(line) for line in real_fields)
        for name, value in map(_field, fields):
            if name not in found:
                raise DifferentError(f"no header {name}")
            (self._same_opaque if _TAG.fullmatch(value) else self._same_text)(value, found[name])
        self._json(body, real_body)

    def _json(self, written: str, real: str) -> None:
        if not written.strip() or not real.strip():
            self._same_text(written.strip(), real.strip())
            return
        self._same(orjson.loads(written), orjson.loads(real), "")

    def _text(self, written: str, real: str) -> None:
        self._same_text(written.strip(), real.strip())

    def _same(self, written: Any, real: Any, where: str) -> None:  # noqa: ANN401  # any JSON
        if type(written) is not type(real):
            raise DifferentError(f"{where}: {written!r} is {real!r}")
        if isinstance(written, dict):
            self._same_object(written, real, where)
        elif isinstance(written, list):
            if len(written) != len(real):
                raise DifferentError(f"{where}: {len(written)} items are {len(real)}")
            for place, pair in enumerate(zip(written, real, strict=True)):
                self._same(*pair, f"{where}/{place}")
        elif isinstance(written, str):
            opaque = where.rpartition("/")[2] in _OPAQUE
            (self._same_opaque if opaque else self._same_text)(written, real)
        elif written != real:
            raise DifferentError(f"{where}: {written!r} is {real!r}")

    def _same_object(self, written: Mapping[str, Any], real: Mapping[str, Any], where: str) -> None:
        if odd := written.keys() ^ real.keys():
            raise DifferentError(f"{where}: on one side only: {sorted(odd)}")
        for name, value in written.items():
            self._same(value, real[name], f"{where}/{name}")

    def _same_text(self, written: str, real: str) -> None:
        """Compare texts, in which ids stand for ids and instants for instants."""
        ids, real_ids = _UUID.findall(written), _UUID.findall(real)
        if _plain(written) != _plain(real):
            raise DifferentError(f"{written!r} is {real!r}")
        for pair in zip(ids, real_ids, strict=True):
            self._same_opaque(*pair)
        for instant in _INSTANT.findall(written + real):
            datetime.fromisoformat(instant)

    def _same_opaque(self, written: str, real: str) -> None:
        known = self.words.setdefault(written, real)
        if known != real:
            raise DifferentError(f"{written!r} was {known!r} and is {real!r}")


def _plain(text: str) -> str:
    return _INSTANT.sub("(instant)", _UUID.sub("(id)", text))


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name.lower(), value
