"""Reads rosters in CSV, as spreadsheets write them: who is in which class."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from rules.emails import key_of
from rules.imports.cells import (
    CLASS_NAME,
    EMAIL,
    EXTERNAL_ID,
    FULL_NAME,
    NAME_PART,
    Row,
    plain,
)
from rules.imports.encodings import text_of
from rules.imports.files import (
    CellError,
    FileContents,
    FilePerson,
    FileRefusedError,
    FileRow,
    Format,
    LineError,
    NamedBy,
)
from rules.imports.headings import Column, Heading, read_heading
from rules.imports.lines import Line, bounded
from rules.imports.naming import UNKNOWN_COURSE, Fault, Naming, Said, course_of
from rules.models import PersonName
from rules.names import split_name
from rules.text import joined, without_blanks

_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

_NO_CLASS: Final = "Which class? Give its name or its external id."
_NOBODY: Final = "Who? Give a name, an email or an external id."
_TOO_FEW: Final = "The line has fewer cells than the heading: is the file cut off?"
_TOO_MANY: Final = "The line has more cells than the heading: put quotes around cells with {}."
_MARKS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}

_OF_CLASS: Final = (Column.CLASS, Column.CLASS_ID, Column.COURSE)

#: What tells that two lines are about one student: its class, what it is told by, and that.
_Sign: TypeAlias = tuple[str | None, Column, str]


def read_csv(body: bytes, charset: str | None, *, for_class: bool) -> FileContents:
    """Return what a file says; `for_class`: it is imported into one class.

    Raises FileRefusedError.
    """
    if body.startswith(_WORKBOOKS):
        raise FileRefusedError("The file is a workbook or an archive: save it as CSV.")
    text = text_of(body, charset)
    heading, lines = read_heading(text)
    if not for_class and not heading.has(Column.CLASS, Column.CLASS_ID):
        raise FileRefusedError('No column says the class of each line: add "class" (klass).')
    reading = _Reading(heading, for_class=for_class)
    reading.take(bounded(lines))
    return replace(reading.contents(), encoding=text.encoding)


@dataclass(slots=True)
class _Reading:
    """What was read of a file so far."""

    heading: Heading
    for_class: bool
    rows: list[tuple[FileRow, Said | None]] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    naming: Naming = field(default_factory=Naming)
    _known: dict[tuple[str, ...], Said] = field(default_factory=dict)

    def take(self, lines: Iterator[Line]) -> None:
        for line in lines:
            if fault := self._fault_of(line):
                self.errors.append(fault)
            else:
                self._read(line.number, Row(self.heading.columns, line.cells))

    def _fault_of(self, line: Line) -> LineError | None:
        """Return what is wrong with a line as a whole."""
        if line.fault:
            return line.error(line.fault)
        if len(line.cells) < self.heading.width:
            return line.error(_TOO_FEW, "missing")
        if any(map(without_blanks, line.cells[self.heading.width :])):
            return line.error(_TOO_MANY.format(_MARKS[self.heading.delimiter]))
        return None

    def _read(self, number: int, row: Row) -> None:
        said = self._said(row)
        if said:
            self.naming.add(said, number)
        person = _person(row)
        if not row.errors and person == FilePerson():
            if said:
                return  # a class in which nobody is
            row.fault(self.heading.who, _NOBODY)
        self.rows.append((FileRow(number, person, errors=tuple(row.errors)), said))

    def _said(self, row: Row) -> Said | None:
        """Return what a line says of its class, None if that cannot be read."""
        cells = tuple(map(row.text, _OF_CLASS))
        if cells not in self._known:
            said = self._read_class(row)
            if said is None or row.errors:
                return said
            self._known[cells] = said
        return self._known[cells]

    def _read_class(self, row: Row) -> Said | None:
        name = row.read(Column.CLASS, CLASS_NAME)
        external_id = row.read(Column.CLASS_ID, EXTERNAL_ID)
        if not row.errors and not self.for_class and name is None and external_id is None:
            row.fault(Column.CLASS, _NO_CLASS)
        is_read = not row.errors
        code = _course(row)
        has_unknown_course = is_read and bool(row.errors)
        return Said(name, external_id, code, has_unknown_course) if is_read else None

    def contents(self) -> FileContents:
        """Return what the file says, now that all its classes are known."""
        found = self.naming.resolve()
        classes = self.naming.classes()
        if self.for_class and len(classes) > 1:
            raise FileRefusedError(
                f"The file is of {len(classes)} classes, and is imported into one: "
                "import it into several, or take the others away."
            )
        once = _Once(self.heading)
        rows = [
            once.look(self._placed(row, found.get(said) if said else None))
            for row, said in self.rows
        ]
        return FileContents(
            Format.CSV,
            classes,
            tuple(row for row in rows if row is not None),
            tuple(self.errors),
            delimiter=self.heading.delimiter,
            repeated=tuple(once.repeated),
            ignored=self.heading.ignored,
        )

    def _placed(self, row: FileRow, found: str | Fault | None) -> FileRow:
        """Return a row with its class."""
        errors = row.errors
        if isinstance(found, Fault):
            title = self.heading.columns.title(found.column)
            errors = (*errors, CellError(title, "text", found.detail))
            found = found.key
        return replace(row, class_key=None if self.for_class else found, errors=errors)


def _course(row: Row) -> str | None:
    text = without_blanks(row.text(Column.COURSE))
    code = course_of(plain(text))
    if text and code is None:
        row.fault(Column.COURSE, UNKNOWN_COURSE)
    return code


def _person(row: Row) -> FilePerson:
    name, named_by = _name(row)
    return FilePerson(
        external_id=row.read(Column.EXTERNAL_ID, EXTERNAL_ID),
        name=name,
        email=row.read(Column.EMAIL, EMAIL),
        named_by=named_by,
    )


def _name(row: Row) -> tuple[PersonName | None, NamedBy]:
    """Return the name of a line, None without one, and what the line has of it."""
    before = len(row.errors)
    first = row.read(Column.FIRST, NAME_PART) or ""
    last = row.read(Column.LAST, NAME_PART) or ""
    full = row.read(Column.FULL, FULL_NAME) or ""
    if len(row.errors) > before:
        return None, NamedBy.PARTS
    if first or last:
        by = NamedBy.BOTH if full else NamedBy.PARTS
        return PersonName(first, last, full or joined(first, last)), by
    return (_split(row, full), NamedBy.FULL) if full else (None, NamedBy.PARTS)


def _split(row: Row, full: str) -> PersonName | None:
    before = len(row.errors)
    first, last = (row.check(Column.FULL, part, NAME_PART) or "" for part in split_name(full))
    if len(row.errors) > before:
        return None
    if not first and not last:
        return PersonName(full, "", full)
    return PersonName(first, last, joined(first, last) if "," in full else full)


@dataclass(slots=True)
class _Once:
    """Finds lines that are about a student of a line above, in the same class."""

    heading: Heading
    repeated: list[int] = field(default_factory=list)
    _seen: dict[_Sign, FileRow] = field(default_factory=dict)

    def look(self, row: FileRow) -> FileRow | None:
        """Return the row, with an error if another says otherwise, None if one says the same."""
        if row.errors:
            return row
        signs = _signs(row)
        for sign in signs:
            other = self._seen.setdefault(sign, row)
            if other is not row:
                return self._again(row, other, sign[1])
        return row

    def _again(self, row: FileRow, other: FileRow, column: Column) -> FileRow | None:
        if column is not Column.FULL and row.person == other.person:
            self.repeated.append(row.line)
            return None
        detail = _DOUBLED[column].format(other.line)
        kind = "address" if column is Column.EMAIL else "text"
        shown = self.heading.who if column is Column.FULL else column
        title = self.heading.columns.title(shown)
        return replace(row, errors=(CellError(title, kind, detail),))


_DOUBLED: Final = {
    Column.EXTERNAL_ID: "Line {} has this external id, too, and says otherwise.",
    Column.EMAIL: "Line {} has this email, too: each student needs their own.",
    Column.FULL: "Line {} has this name, too, and nothing tells the two apart: give external ids.",
}


def _signs(row: FileRow) -> list[_Sign]:
    person, signs = row.person, list[_Sign]()
    if person.external_id is not None:
        signs.append((row.class_key, Column.EXTERNAL_ID, person.external_id))
    if person.email is not None:
        signs.append((row.class_key, Column.EMAIL, key_of(person.email)))
    if not signs and person.name is not None:
        name = f"{person.name.first_name}\n{person.name.last_name}"
        signs.append((row.class_key, Column.FULL, name))
    return signs
