"""Reads a list of pupils that somebody pasted: from a spreadsheet, a mail, a document.

A line is a pupil: names and an address in cells (tabs, semicolons or commas between them), or as
mail programs write them. What a line cannot be read as is said of that line alone.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

from rules.imports import headings
from rules.limits import MAX_STUDENTS
from rules.names import split_name
from rules.text import without_blanks
from web.console.notices import N_

#: A longer line is no pupil; what checks the name says so.
_LONGEST: Final = 2_000
#: A heading, as many pupils as a class has, and one that shows that there are too many.
_MOST: Final = MAX_STUDENTS + 2

_DELIMITERS: Final = ("\t", ";", ",")
# From the beginning of a word on alone: a line of other things is read in one go.
_ADDRESS: Final = re.compile(r"""(?<![^\s<>()\[\]"',;:])[^\s<>()\[\]"',;:@]++@[^\s<>()\[\]"',;]+""")
_SCHEME: Final = re.compile(r"\bmailto:", re.IGNORECASE)
#: Between the pupils of a line of recipients: "A B <a@x>; C D <c@x>".
_RECIPIENT: Final = re.compile(r"(<[^<>@\s]+@[^<>\s]+>)\s*[;,]?")
#: A number in a list, or a date of birth.
_NUMBER: Final = re.compile(r"[\d\s.+-]*")
_WRAPPING: Final = "<>()[]\"' "


class Column(StrEnum):
    """What the cells below a heading are."""

    FIRST = "first"
    LAST = "last"
    NAME = "name"
    EMAIL = "email"
    OTHER = "other"


#: What the columns of a file are called, they are called here.
_KNOWN: Final = {
    headings.Column.FIRST: Column.FIRST,
    headings.Column.LAST: Column.LAST,
    headings.Column.FULL: Column.NAME,
    headings.Column.EMAIL: Column.EMAIL,
}
#: Others that people write above a list.
_WORDS: Final = {
    Column.EMAIL: ("address", "adress"),
    Column.OTHER: ("no", "nr", "#", "year", "personnummer", "årskurs"),
}
_OWN: Final = {word: column for column, words in _WORDS.items() for word in words}

SEVERAL: Final = N_("There are several addresses on this line: one pupil a line.")
COLUMNS: Final = N_("Which of these is the name? Put a line above the list that says it.")


@dataclass(frozen=True, slots=True)
class Pasted:
    """A pupil of a list, as it stands on a line; `fault` says why it cannot be read."""

    line: int
    text: str
    first: str = ""
    last: str = ""
    email: str = ""
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Heading:
    """The line above a list that says what the columns are."""

    delimiter: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class PastedList:
    """The pupils of a list; `heading` is the line above that says what the columns are, else ""."""

    heading: str
    pupils: Sequence[Pasted]


def read_list(text: str, *, swapped: bool = False) -> PastedList:
    """Return the pupils of a list; `swapped`: what would be the first names are the last ones.

    Of a list that is too long for any class the beginning, which is so, too.
    """
    lines = [*islice(_lines(text), _MOST)]
    heading = _heading(lines[0][1]) if lines else None
    first = 1 if heading else 0
    found = [_read(number, line, heading) for number, line in lines[first:]]
    shown = lines[0][1] if heading else ""
    return PastedList(shown, [_swap(one) for one in found] if swapped else found)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for part in _recipients(line):
            # Spreadsheets write blanks that do not break; cells begin and end where tabs are.
            shown = re.sub("[\u00a0\u2007\u202f]", " ", part).strip(" \ufeff\r")
            if without_blanks(shown):
                yield number, shown


def _recipients(line: str) -> list[str]:
    if len(_RECIPIENT.findall(line)) < 2:  # noqa: PLR2004  # one is a pupil
        return [line]
    return _RECIPIENT.sub(r"\1\n", line).split("\n")


def _heading(line: str) -> _Heading | None:
    if len(line) > _LONGEST:
        return None
    delimiter = _delimiter(line)
    cells = _cells(line, delimiter)
    found = [_column(cell) for cell in cells]
    columns = tuple(column or Column.OTHER for column in found)
    known = [column for column in found if column]
    names = [column for column in columns if column is not Column.OTHER]
    is_heading = len(known) == len([cell for cell in cells if cell]) or len(known) > 1
    return _Heading(delimiter, columns) if names and is_heading else None


def _column(heading: str) -> Column | None:
    """Return what a heading says of its column, None for one that is not known."""
    word = without_blanks(heading).casefold().rstrip(":.").strip()
    if column := headings.column_of(word):
        return _KNOWN.get(column, Column.OTHER)
    return _OWN.get(word)


def _read(number: int, line: str, heading: _Heading | None) -> Pasted:
    if len(line) > _LONGEST:
        return Pasted(number, line[:_LONGEST], first=line[:_LONGEST])
    if len(set(_ADDRESS.findall(_SCHEME.sub("", line)))) > 1:
        return Pasted(number, line, fault=SEVERAL)
    if heading is not None and (not heading.delimiter or heading.delimiter in line):
        return _by_heading(number, line, heading)
    return _by_form(number, line)


def _by_heading(number: int, line: str, heading: _Heading) -> Pasted:
    cells: dict[Column, str] = {}
    for column, cell in zip(heading.columns, _cells(line, heading.delimiter), strict=False):
        cells[column] = f"{cells.get(column, '')} {cell}".strip()
    name, email = _taken_apart(cells.get(Column.EMAIL, ""))
    first, last = cells.get(Column.FIRST, ""), cells.get(Column.LAST, "")
    if not first and not last:
        apart, other = _taken_apart(cells.get(Column.NAME, ""))
        first, last = split_name(apart)
        email = email or other
    return Pasted(number, line, first, last, email or name)


def _by_form(number: int, line: str) -> Pasted:
    delimiter = _delimiter(line)
    email, names = "", []
    for cell in _cells(line, delimiter):
        rest, found = _taken_apart(cell) if "@" in cell else (cell, "")
        email = email or found
        if rest and not _NUMBER.fullmatch(rest):
            names.append(rest)
    if len(names) > 2:  # noqa: PLR2004  # first and last
        return Pasted(number, line, email=email, fault=COLUMNS)
    first, last = _named(names, is_reversed=delimiter == "," and ", " in line)
    return Pasted(number, line, first, last, email)


def _named(names: Sequence[str], *, is_reversed: bool) -> tuple[str, str]:
    """Return first and last name; "Berg, Anna" is how people write, "Anna,Berg" how programs do."""
    if len(names) < 2:  # noqa: PLR2004
        return split_name(names[0] if names else "")
    first, last = names
    return (last, first) if is_reversed else (first, last)


def _taken_apart(cell: str) -> tuple[str, str]:
    """Return what a cell has beside an address, and the address; one that is none stays whole."""
    plain = _SCHEME.sub("", cell)
    found = _ADDRESS.search(plain)
    if found is None:
        return ("", plain.strip(_WRAPPING)) if "@" in plain else (plain.strip(), "")
    rest = plain[: found.start()] + plain[found.end() :]
    return rest.strip(_WRAPPING), found[0]


def _delimiter(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    return next((one for one in _DELIMITERS if one in bare), "")


def _cells(line: str, delimiter: str) -> list[str]:
    if not delimiter:
        return [line.strip().strip('"').strip()]
    rows = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    return [cell.strip() for row in rows for cell in row]


def _swap(one: Pasted) -> Pasted:
    return Pasted(one.line, one.text, one.last, one.first, one.email, one.fault)
