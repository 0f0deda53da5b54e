"""What a roster's file says, whatever its format: what reading gives, and planning takes.

Lines are those of the file, from 1 on (a quoted cell may have several). Of a OneRoster file `file`
is the member of the archive that the line is in ("users.csv"), else it is empty.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rules.errors import ServiceError
from rules.identity import CONTROL
from rules.models import PersonName
from rules.text import without_blanks


class Format(StrEnum):
    """The form of a file."""

    CSV = "csv"
    ONEROSTER = "oneroster"


#: How long the name of a file may be that is shown.
MAX_FILENAME: Final = 255

_FOLDERS: Final = re.compile(r".*[/\\]")
#: With which zips begin: with a member, or with the directory of none.
_ZIPS: Final = (b"PK\x03\x04", b"PK\x05\x06")


def format_of(content: bytes) -> Format:
    """Return the form of a file of which only the content is known."""
    return Format.ONEROSTER if content.startswith(_ZIPS) else Format.CSV


def shown_name(name: str) -> str | None:
    """Return a file's name as it is shown, without folders; None for one that cannot be."""
    name = without_blanks(_FOLDERS.sub("", name))
    is_shown = name.isprintable() and not CONTROL.search(name) and len(name) <= MAX_FILENAME
    return name if name and is_shown else None


@dataclass(frozen=True, slots=True)
class CellError:
    """A fault of a cell.

    `value_kind` says what stands there ("text", "number", "empty", "formula", "address" and so on),
    never the value itself.
    """

    column: str
    value_kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class LineError:
    """Faults of a line of which nothing else can be said, so also not whose line it was.

    Who is missing in such a file may have been on that line.
    """

    line: int
    errors: tuple[CellError, ...]
    file: str = ""


class NamedBy(StrEnum):
    """What a line has of a name."""

    PARTS = "parts"
    """First and last name: the full name is put together, and was not said."""
    FULL = "full"
    """The full name alone: where the first name ends is a guess."""
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class FilePerson:
    """What a line says of a person, checked; None is an empty cell, or a column that is not there.

    `name` has both parts, split where the file has the full name only; either may be "".
    `external_id` may also be our own id of the student, which exports write where it has none.
    """

    external_id: str | None = None
    name: PersonName | None = None
    email: str | None = None
    named_by: NamedBy = NamedBy.PARTS


class Wish(StrEnum):
    """What a line wants of its person."""

    KEEP = "keep"
    """To be in the class."""
    LEAVE = "leave"
    """To be in it no more (OneRoster's enrolment `tobedeleted`)."""
    UPDATE = "update"
    """To be as the line says if it is a student here already, else nothing: it may be a teacher
    (OneRoster's user without a role and without an enrolment)."""
    DELETE = "delete"
    """To be in none of the owner's classes any more (OneRoster's user `tobedeleted`)."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A person, and the class in which a line has it.

    `class_key` is the key of a FileClass; None: the class that is imported into, or a line that
    says nothing of a class (a OneRoster user without an enrolment). With `errors` the other
    members are what could be read.
    """

    line: int
    person: FilePerson
    class_key: str | None = None
    wish: Wish = Wish.KEEP
    errors: tuple[CellError, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class FileClass:
    """A class that a file names; `key` means something within the file only.

    `name` and `course_code` are None where the file does not say. `external_id` may also be our own
    id of the class, which exports write where it has none. `is_deleted`: OneRoster's `tobedeleted`.
    `has_unknown_course`: the file gives it a course that is none, and no other one.
    """

    key: str
    line: int
    name: str | None
    external_id: str | None = None
    course_code: str | None = None
    is_deleted: bool = False
    errors: tuple[CellError, ...] = ()
    file: str = ""
    has_unknown_course: bool = False


@dataclass(frozen=True, slots=True)
class FileContents:
    """All that a file says. `is_delta`: it has what changed, so who is missing is not gone.

    `errors` are of lines that could not be read at all. `repeated` are lines that say again what
    one above says, word for word, and so were passed over. `encoding` and `delimiter` are what the
    file was read with, and `ignored` the headings of columns that mean nothing here, to be shown.
    What is imported into one class (`for_class`) has rows without a class key, and at most one
    class: what the file says of it.
    """

    format: Format
    classes: tuple[FileClass, ...]
    rows: tuple[FileRow, ...]
    errors: tuple[LineError, ...] = ()
    is_delta: bool = False
    encoding: str = "utf-8"
    delimiter: str = ","
    repeated: tuple[int, ...] = ()
    ignored: tuple[str, ...] = ()


class FileRefusedError(ServiceError):
    """The file cannot be read as a roster."""

    error_code = "VALIDATION_ERROR"
