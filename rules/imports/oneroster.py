"""Reads OneRoster 1.2 in CSV: a zip file with classes, users and who is enrolled.

https://www.imsglobal.org/spec/oneroster/v1p2/bind/csv
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from rules.imports.archives import Archive, check_sizes, open_archive
from rules.imports.cells import CLASS_NAME, EMAIL, EXTERNAL_ID, FULL_NAME, NAME_PART, Columns, Row
from rules.imports.files import (
    CellError,
    FileClass,
    FileContents,
    FilePerson,
    FileRefusedError,
    FileRow,
    Format,
    LineError,
    NamedBy,
    Wish,
)
from rules.imports.lines import MAX_ROWS, Line, bounded, lines_of
from rules.imports.naming import UNKNOWN_COURSE, course_of
from rules.inputs import MAX_FULL_NAME
from rules.models import PersonName
from rules.text import joined, without_blanks

VERSION: Final = "1.2"
MANIFEST: Final = "manifest.csv"
CLASSES: Final = "classes.csv"
COURSES: Final = "courses.csv"
ENROLLMENTS: Final = "enrollments.csv"
ROLES: Final = "roles.csv"
USERS: Final = "users.csv"
STUDENT: Final = "student"
#: What exports add, as the standard's extensions: a name that is more than its two parts.
LEGAL_NAME: Final = "metadata.legalFullName"

#: The columns that are needed, and what else is looked at.
_COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    MANIFEST: (("propertyName", "value"), ()),
    CLASSES: (("sourcedId", "title"), ("status", "courseSourcedId")),
    COURSES: (("sourcedId", "courseCode"), ("status",)),
    ENROLLMENTS: (("classSourcedId", "userSourcedId", "role"), ("status", "sourcedId")),
    ROLES: (("userSourcedId", "role"), ("status",)),
    USERS: (
        ("sourcedId", "givenName", "familyName"),
        ("status", "email", "role", "middleName", LEGAL_NAME),
    ),
}
_READ: Final = (COURSES, CLASSES, USERS, ROLES, ENROLLMENTS)

_NO_STATUS: Final = "Must be active, tobedeleted or empty."
_TWICE: Final = "Line {} has this id, too."
_GONE: Final = "It is to be deleted."
_OTHER_WIDTH: Final = "The line has not as many cells as the first one."


class _Mode(StrEnum):
    """What a member has: all there is, or what changed."""

    BULK = "bulk"
    DELTA = "delta"
    ABSENT = "absent"


class _Status(StrEnum):
    """What has become of what a line is about."""

    ACTIVE = "active"
    DELETED = "tobedeleted"


def read_oneroster(body: bytes) -> FileContents:
    """Return what a file says. Raises FileRefusedError."""
    archive = open_archive(body)
    modes = _modes(archive)
    check_sizes([archive.members[name] for name in _READ if modes[name] is not _Mode.ABSENT])
    reading = _Reading(archive, modes)
    reading.take()
    return reading.contents()


def _modes(archive: Archive) -> dict[str, _Mode]:
    """Return what the manifest says of each member."""
    if MANIFEST not in archive.members:
        if "[content_types].xml" in archive.members:
            raise FileRefusedError("The file is a workbook: save it as CSV.")
        raise FileRefusedError("The file is not OneRoster: it has no manifest.")
    check_sizes([archive.members[MANIFEST]])
    said = {
        without_blanks(row.text("propertyName")).casefold(): without_blanks(row.text("value"))
        for _, row in _rows(archive, MANIFEST, [])
    }
    if said.get("oneroster.version") != VERSION:
        raise FileRefusedError(f"The manifest is not of OneRoster {VERSION}.")
    modes = {name: _mode(said, name) for name in _READ}
    for name, mode in modes.items():
        if mode is not _Mode.ABSENT and name not in archive.members:
            raise FileRefusedError(f"The manifest says that there is {name}, and there is not.")
    return modes


def _mode(said: Mapping[str, str], name: str) -> _Mode:
    value = said.get(f"file.{name.removesuffix('.csv')}", _Mode.ABSENT).casefold()
    if value not in {*_Mode}:
        raise FileRefusedError(f"The manifest says of {name} none of bulk, delta and absent.")
    return _Mode(value)


def _rows(archive: Archive, name: str, errors: list[LineError]) -> Iterator[tuple[int, Row]]:
    """Yield the lines of a member; those that cannot be read go to the errors."""
    lines = lines_of(archive.reader(name), ",")
    heading = next(lines, Line(1))
    columns = _columns(name, heading)
    for line in bounded(lines):
        if line.fault:
            errors.append(line.error(line.fault, file=name))
        elif len(line.cells) != len(heading.cells):
            errors.append(line.error(_OTHER_WIDTH, "missing", name))
        else:
            yield line.number, Row(columns, line.cells)


def _columns(name: str, heading: Line) -> Columns:
    """Return where the columns of a member are. Raises FileRefusedError."""
    needed, others = _COLUMNS[name]
    titles = [without_blanks(cell).casefold() for cell in heading.cells]
    for column in (*needed, *others):
        if titles.count(column.casefold()) > 1:
            raise FileRefusedError(f"{name} has the column {column} twice.")
    if missing := [column for column in needed if column.casefold() not in titles]:
        raise FileRefusedError(f"{name} has no column {missing[0]}.")
    known = [column for column in (*needed, *others) if column.casefold() in titles]
    return Columns({column: titles.index(column.casefold()) for column in known})


@dataclass(slots=True)
class _User:
    """A line of users.csv; `is_student` is None while nothing says it."""

    line: int
    person: FilePerson
    is_deleted: bool
    errors: tuple[CellError, ...]
    is_student: bool | None

    @property
    def wish(self) -> Wish:
        """What the line wants by itself."""
        if self.is_deleted:
            return Wish.DELETE
        return Wish.KEEP if self.is_student else Wish.UPDATE


@dataclass(slots=True)
class _Enrolled:
    """Of one user in one class the line that counts."""

    line: int
    user_id: str
    class_id: str
    wish: Wish


@dataclass(slots=True)
class _Reading:
    """What was read of a file so far."""

    archive: Archive
    modes: Mapping[str, _Mode]
    errors: list[LineError] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    courses: dict[str, str] = field(default_factory=dict)
    classes: dict[str, FileClass] = field(default_factory=dict)
    users: dict[str, _User] = field(default_factory=dict)
    enrolled: dict[tuple[str, str], _Enrolled] = field(default_factory=dict)
    faulty: list[FileRow] = field(default_factory=list)

    def take(self) -> None:
        """Read all members."""
        for name, read in {
            COURSES: self._course,
            CLASSES: self._class,
            USERS: self._user,
            ROLES: self._role,
            ENROLLMENTS: self._enrollment,
        }.items():
            if self.modes[name] is not _Mode.ABSENT:
                for number, row in _rows(self.archive, name, self.errors):
                    read(number, row)

    def _refuse(self, number: int, row: Row, file: str) -> None:
        self.errors.append(LineError(number, tuple(row.errors), file))

    def _course(self, number: int, row: Row) -> None:
        source = _id(row, "sourcedId")
        if row.errors:
            return self._refuse(number, row, COURSES)
        self.courses.setdefault(source, without_blanks(row.text("courseCode")))
        return None

    def _class(self, number: int, row: Row) -> None:
        source, status = _id(row, "sourcedId"), _status(row)
        if source in self.classes:
            row.fault("sourcedId", _TWICE.format(self.classes[source].line))
        if row.errors:
            return self._refuse(number, row, CLASSES)
        is_deleted = status is _Status.DELETED
        name = row.read("title", CLASS_NAME)
        code = self._code(row)
        errors = () if is_deleted else tuple(row.errors)
        self.classes[source] = FileClass(
            source, number, name, source, code, is_deleted, errors, CLASSES
        )
        return None

    def _code(self, row: Row) -> str | None:
        """Return the course code of a class, None where the file does not say it."""
        source = _reference(row, "courseSourcedId")
        if not source or self.modes[COURSES] is _Mode.ABSENT:
            return None
        said = self.courses.get(source)
        if said is None:
            if self.modes[COURSES] is _Mode.BULK:
                row.fault("courseSourcedId", f"{COURSES} has no such course.")
            return None
        code = course_of(said)
        if said and code is None:
            row.fault("courseSourcedId", f"{UNKNOWN_COURSE[:-1]} (courseCode in {COURSES}).")
        return code

    def _user(self, number: int, row: Row) -> None:
        source, status = _id(row, "sourcedId"), _status(row)
        if source in self.users:
            row.fault("sourcedId", _TWICE.format(self.users[source].line))
        if row.errors:
            return self._refuse(number, row, USERS)
        if status is _Status.DELETED:
            person, row.errors = FilePerson(external_id=source), []
        else:
            person = _person(row, source)
        self.users[source] = _User(
            number, person, status is _Status.DELETED, tuple(row.errors), _is_student(row)
        )
        return None

    def _role(self, _: int, row: Row) -> None:
        if row.text("status").strip().casefold() != _Status.DELETED:
            self._learn(row)

    def _learn(self, row: Row) -> None:
        """Note whether a user is a student, also if it is something else beside that."""
        user = self.users.get(_reference(row, "userSourcedId"))
        is_student = _is_student(row)
        if user is not None and is_student is not None:
            user.is_student = user.is_student or is_student

    def _enrollment(self, number: int, row: Row) -> None:
        if not _is_student(row):
            return self._learn(row)
        class_id, user_id = _id(row, "classSourcedId"), _id(row, "userSourcedId")
        status = _status(row)
        if not row.errors:
            self._check_references(row, class_id, user_id, status)
        if row.errors:
            key = class_id if class_id in self.classes else None
            person = FilePerson(external_id=user_id or None)
            errors = tuple(row.errors)
            self.faulty.append(FileRow(number, person, key, errors=errors, file=ENROLLMENTS))
            return None
        self._enrol(number, class_id, user_id, status)
        return None

    def _check_references(self, row: Row, class_id: str, user_id: str, status: _Status) -> None:
        """Check that a class and a user are known, if all there are would be in the file."""
        is_active = status is _Status.ACTIVE
        its_class = self.classes.get(class_id)
        if its_class is None and self.modes[CLASSES] is _Mode.BULK:
            row.fault("classSourcedId", f"{CLASSES} has no such class.")
        if its_class and its_class.is_deleted and is_active:
            row.fault("classSourcedId", _GONE)
        user = self.users.get(user_id)
        if user is None and self.modes[USERS] is _Mode.BULK:
            row.fault("userSourcedId", f"{USERS} has no such user.")
        if user and user.is_deleted and is_active:
            row.fault("userSourcedId", _GONE)

    def _enrol(self, number: int, class_id: str, user_id: str, status: _Status) -> None:
        if class_id not in self.classes:
            known = FileClass(class_id, number, None, class_id, file=ENROLLMENTS)
            self.classes[class_id] = known
        wish = Wish.LEAVE if status is _Status.DELETED else Wish.KEEP
        other = self.enrolled.get((class_id, user_id))
        if other is not None:
            self.repeated.append(number if other.wish in (wish, Wish.KEEP) else other.line)
        # Who left and came back has an enrolment for each.
        if other is None or (other.wish is Wish.LEAVE and wish is Wish.KEEP):
            self.enrolled[class_id, user_id] = _Enrolled(number, user_id, class_id, wish)

    def contents(self) -> FileContents:
        """Return what the file says."""
        rows = [*self._alone(), *self._in_classes()]
        if len(rows) > MAX_ROWS:
            raise FileRefusedError(f"An import has at most {MAX_ROWS:,} rows.")
        return FileContents(
            Format.ONEROSTER,
            tuple(self.classes.values()),
            tuple(rows),
            tuple(self.errors),
            is_delta=self.modes[ENROLLMENTS] is not _Mode.BULK,
            repeated=tuple(sorted(self.repeated)),
        )

    def _alone(self) -> Iterator[FileRow]:
        """Yield the users that are deleted, and those in no class unless they are no students.

        Enrolments that are deleted say no values: who has only such is changed by its own line.
        """
        leaving = {user_id for _, user_id in self.enrolled}
        placed = {one.user_id for one in self.enrolled.values() if one.wish is Wish.KEEP}
        for source, user in self.users.items():
            if user.is_deleted or (user.is_student is not False and source not in placed):
                is_left = source in leaving and not user.is_deleted
                wish = Wish.UPDATE if is_left else user.wish
                yield FileRow(user.line, user.person, wish=wish, errors=user.errors, file=USERS)

    def _in_classes(self) -> Sequence[FileRow]:
        gone = {source for source, user in self.users.items() if user.is_deleted}
        kept = [one for one in self.enrolled.values() if one.user_id not in gone]
        rows = [*self.faulty, *map(self._row, kept)]
        return sorted(rows, key=lambda row: (row.file, row.line))

    def _row(self, enrolled: _Enrolled) -> FileRow:
        """Return an enrolment's row; what is wrong with its user is said of the user's line."""
        user = self.users.get(enrolled.user_id)
        row = FileRow(
            enrolled.line,
            user.person if user else FilePerson(external_id=enrolled.user_id),
            enrolled.class_id,
            enrolled.wish,
            file=ENROLLMENTS,
        )
        if user and user.errors and enrolled.wish is Wish.KEEP:
            return replace(row, line=user.line, errors=user.errors, file=USERS)
        return row


def _id(row: Row, column: str) -> str:
    """Return a sourcedId, "" with an error if there is none."""
    before = len(row.errors)
    found = row.read(column, EXTERNAL_ID)
    if found is None and len(row.errors) == before:
        row.fault(column, "Must be given.")
    return found or ""


def _is_student(row: Row) -> bool | None:
    """Whether a line has the role of a student, None if it says none."""
    role = without_blanks(row.text("role")).casefold()
    return role == STUDENT if role else None


def _reference(row: Row, column: str) -> str:
    """Return a sourcedId that need not be there."""
    return row.read(column, EXTERNAL_ID) or ""


def _status(row: Row) -> _Status:
    text = without_blanks(row.text("status")).casefold() or _Status.ACTIVE
    if text not in {*_Status}:
        row.fault("status", _NO_STATUS)
        return _Status.ACTIVE
    return _Status(text)


def _person(row: Row, source: str) -> FilePerson:
    first = row.read("givenName", NAME_PART) or ""
    last = row.read("familyName", NAME_PART) or ""
    middle = row.read("middleName", NAME_PART) or ""
    legal = row.read(LEGAL_NAME, FULL_NAME) or ""
    if middle and not legal:
        legal = joined(first, middle, last)[:MAX_FULL_NAME].rstrip()
    email = row.read("email", EMAIL)
    if not first and not last:
        return FilePerson(source, None, email)
    name = PersonName(first, last, legal or joined(first, last))
    return FilePerson(source, name, email, NamedBy.BOTH if legal else NamedBy.PARTS)
