"""The first line of a CSV file: what its columns are, in English or Swedish, and between them."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Final

from rules.imports.cells import Columns
from rules.imports.encodings import Text
from rules.imports.files import FileRefusedError
from rules.imports.lines import MAX_LINE, Line, lines_of
from rules.text import without_blanks

MAX_COLUMNS: Final = 500
#: Characters of a heading that an error shows.
MAX_TITLE: Final = 100
DELIMITERS: Final = (",", ";", "\t")
#: Lines below the heading of a file with one column that show whether a comma is part of its names.
_SAMPLE: Final = 100


class Column(StrEnum):
    """What the cells of a column are; the values are how exports call it."""

    CLASS = "class"
    CLASS_ID = "class external id"
    COURSE = "course"
    FIRST = "first name"
    LAST = "last name"
    FULL = "full name"
    EMAIL = "email"
    EXTERNAL_ID = "external id"


#: What people write over them, without case, blanks, underscores and hyphens.
_STRONG: Final = MappingProxyType(
    {
        Column.CLASS: ("class", "klass", "classname", "klassnamn", "klassbeteckning"),
        Column.CLASS_ID: (
            *("classexternalid", "externalclassid", "classid", "classsourcedid"),
            *("klassid", "klassexterntid", "klassensid", "externtklassid", "gruppid", "groupid"),
        ),
        Column.COURSE: ("course", "coursecode", "kurs", "kurskod"),
        Column.FIRST: ("firstname", "givenname", "forename", "förnamn", "fornamn", "tilltalsnamn"),
        Column.LAST: ("lastname", "surname", "familyname", "efternamn"),
        Column.FULL: (
            *("fullname", "legalname", "legalfullname", "fulllegalname", "displayname"),
            *("studentname", "pupilname", "fullständigtnamn", "helanamnet", "helanamn", "elevnamn"),
        ),
        Column.EMAIL: (
            *("email", "emailaddress", "mailaddress", "studentemail"),
            *("epost", "epostadress", "mejl", "mejladress", "mailadress", "elevepost"),
        ),
        Column.EXTERNAL_ID: (
            *("externalid", "extid", "sourcedid", "studentid", "pupilid", "studentexternalid"),
            *("externtid", "elevid", "elevensid"),
        ),
    }
)
#: What they are where no other column is: another one may well have such a heading, too.
_WEAK: Final = MappingProxyType(
    {
        Column.CLASS: ("group", "groupname", "grupp", "gruppnamn", "undervisningsgrupp"),
        Column.FULL: ("name", "namn", "student", "pupil", "elev"),
        Column.EMAIL: ("mail",),
        Column.EXTERNAL_ID: ("id",),
    }
)
_COLUMNS: Final = {
    word: (column, is_weak)
    for words, is_weak in ((_STRONG, False), (_WEAK, True))
    for column, several in words.items()
    for word in several
}
_BETWEEN: Final = re.compile(r"[\s_\-./:()]+")
_TELLING: Final = (Column.FULL, Column.LAST, Column.EXTERNAL_ID, Column.EMAIL)
_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[,;\t]*(?:\r\n|\r|\n)', re.IGNORECASE)

KNOWN: Final = (
    'The columns that are known: "first name" (förnamn), "last name" (efternamn), "full name" '
    '(namn), "email" (e-post), "external id" (externt id), "class" (klass), "class external id" '
    '(klass-id), "course" (kurs).'
)


@dataclass(frozen=True, slots=True)
class Heading:
    """The first line of a file. `width`: how many cells a line needs."""

    columns: Columns
    delimiter: str
    width: int
    ignored: tuple[str, ...]

    def has(self, *columns: Column) -> bool:
        """Whether the file has one of these columns."""
        return any(column in self.columns.places for column in columns)

    @property
    def who(self) -> Column:
        """The column that tells best who somebody is."""
        return next(column for column in _TELLING if self.has(column))


def read_heading(text: Text) -> tuple[Heading, Iterator[Line]]:
    """Return the heading of a file, and its other lines, not read yet.

    Raises FileRefusedError: no column that is known, or one twice.
    """
    read_line = text.read_line()
    excel = _SEPARATOR.match(read_line(MAX_LINE))
    if excel is None:
        read_line = text.read_line()
    delimiter = _said(excel[1]) if excel else _evident(text)
    lines = lines_of(read_line, delimiter, 1 if excel else 0)
    return _heading(next(lines, Line(1)), delimiter), lines


def _said(delimiter: str) -> str:
    """Return the delimiter that Excel's own first line names."""
    if delimiter not in DELIMITERS:
        raise FileRefusedError("Cells are parted by commas, semicolons or tabs, not otherwise.")
    return delimiter


def _evident(text: Text) -> str:
    """Return the delimiter with which the first line has the most columns that are known."""
    first = {one: next(lines_of(text.read_line(), one), Line(1)).cells for one in DELIMITERS}
    if all(len(cells) < 2 for cells in first.values()):  # noqa: PLR2004
        return _of_one_column(text)
    return max(DELIMITERS, key=lambda one: sum(_word(cell) in _COLUMNS for cell in first[one]))


def _of_one_column(text: Text) -> str:
    """Return what is in none of the cells: "Berg, Anna" is one of a file that Excel wrote."""
    for delimiter in DELIMITERS:
        beginning = islice(lines_of(text.read_line(), delimiter), _SAMPLE)
        if all(len(line.cells) < 2 for line in beginning):  # noqa: PLR2004
            return delimiter
    return DELIMITERS[0]


def _heading(line: Line, delimiter: str) -> Heading:
    if line.fault:
        raise FileRefusedError(f"The first line cannot be read. {line.fault}")
    if not line.cells:
        raise FileRefusedError("The file is empty.")
    if len(line.cells) > MAX_COLUMNS:
        raise FileRefusedError(f"A file has at most {MAX_COLUMNS} columns.")
    titles = [without_blanks(cell)[:MAX_TITLE] for cell in line.cells]
    places = _places(titles)
    _check(places)
    ignored = [title for n, title in enumerate(titles) if title and n not in places.values()]
    named = {str(column): titles[place] for column, place in places.items()}
    width = max((n for n, title in enumerate(titles, 1) if title), default=0)
    columns = Columns({str(column): place for column, place in places.items()}, named)
    return Heading(columns, delimiter, width, tuple(ignored))


def column_of(heading: str) -> Column | None:
    """Return what a heading says of its column, None for one that is not known."""
    column, _ = _COLUMNS.get(_word(heading), (None, False))
    return column


def _word(cell: str) -> str:
    return _BETWEEN.sub("", unicodedata.normalize("NFC", without_blanks(cell)).casefold())


def _places(titles: Sequence[str]) -> dict[Column, int]:
    """Return where the columns are. Raises FileRefusedError for one that is there twice."""
    known = [(n, *_COLUMNS[word]) for n, word in enumerate(map(_word, titles)) if word in _COLUMNS]
    strong = {column for _, column, is_weak in known if not is_weak}
    places: dict[Column, int] = {}
    for place, column, is_weak in known:
        if is_weak and column in strong:
            continue
        if column in places:
            both = f'"{titles[places[column]]}" and "{titles[place]}"'
            raise FileRefusedError(f"Two columns are the {column}: {both}. Take one away.")
        places[column] = place
    return places


def _check(places: dict[Column, int]) -> None:
    """Check that the columns are of people. Raises FileRefusedError."""
    if not places:
        raise FileRefusedError(f"The first line has no column that is known. {KNOWN}")
    alone = {Column.FIRST, Column.LAST} & places.keys()
    if len(alone) == 1 and Column.FULL not in places:
        [other] = {Column.FIRST, Column.LAST} - alone
        raise FileRefusedError(
            f"There is no column for the {other}: add one, which may be empty. {KNOWN}"
        )
    if places.keys().isdisjoint(_TELLING):
        raise FileRefusedError(f"No column says who is in the classes. {KNOWN}")
