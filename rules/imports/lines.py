"""The lines of a CSV file, a bounded part of it at a time."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rules.imports.files import CellError, FileRefusedError, LineError

#: Characters of a line, whose quoted cells may go on over several of the file. A cell has at most
#: 131,072: that is the csv module's own bound.
MAX_LINE: Final = 262_144
MAX_ROWS: Final = 50_000

_NOT_CLOSED: Final = "A quote that is opened here is not closed: is the file cut off?"
_TOO_WIDE: Final = "A cell is far too long, or a quote that is opened here is not closed."
_MISQUOTED: Final = "A quote ends in the middle of a cell; within quotes, write a quote twice."

#: Gives at most that many characters up to the end of a line, "" at the end of the file.
ReadLine = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its cells, or what is wrong with it as a whole."""

    number: int
    cells: Sequence[str] = ()
    fault: str | None = None

    def error(self, detail: str, kind: str = "text", file: str = "") -> LineError:
        """Return an error of the whole line."""
        return LineError(self.number, (CellError("", kind, detail),), file)


class _Bounded:
    """The lines of a file, of which one that the parser takes together is bounded."""

    def __init__(self, read_line: ReadLine) -> None:
        self._read_line = read_line
        self._left = MAX_LINE
        self.is_done = False

    def begin(self) -> None:
        self._left = MAX_LINE

    def __iter__(self) -> "_Bounded":
        return self

    def __next__(self) -> str:
        line = self._read_line(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise FileRefusedError(f"A line has more than {MAX_LINE:,} characters.")
        if not line:
            self.is_done = True
            raise StopIteration
        return line


def lines_of(read_line: ReadLine, delimiter: str, before: int = 0) -> Iterator[Line]:
    """Yield the lines of a file, without those on which nothing stands.

    `before` is how many lines were read already. Raises FileRefusedError.
    """
    source = _Bounded(read_line)
    reader = csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True)
    while not source.is_done:
        source.begin()
        number = before + reader.line_num + 1
        try:
            cells = next(reader, [])
        except csv.Error as error:
            yield Line(number, fault=_text(error, is_at_end=source.is_done))
        else:
            if any(cell and not cell.isspace() for cell in cells):
                yield Line(number, cells)


def bounded(lines: Iterator[Line]) -> Iterator[Line]:
    """Pass on lines, but not more than an import has. Raises FileRefusedError."""
    for count, line in enumerate(lines, 1):
        if count > MAX_ROWS:
            raise FileRefusedError(f"An import has at most {MAX_ROWS:,} rows.")
        yield line


def _text(error: csv.Error, *, is_at_end: bool) -> str:
    if is_at_end:
        return _NOT_CLOSED
    return _TOO_WIDE if "limit" in str(error) else _MISQUOTED
