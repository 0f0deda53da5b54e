"""Cells of a roster's file: what is in them, and what keeps a spreadsheet from running them.

A cell that a spreadsheet would run as a formula, or has spoilt, is written with an apostrophe
before it and read without: what stood there comes back as it was.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from rules.errors import FieldError
from rules.imports.files import CellError
from rules.inputs import ClassName, Email, ExternalId, FullName, NamePart, faults_of
from rules.text import without_blanks

NAME_PART: Final[TypeAdapter[str]] = TypeAdapter(NamePart)
FULL_NAME: Final[TypeAdapter[str]] = TypeAdapter(FullName)
CLASS_NAME: Final[TypeAdapter[str]] = TypeAdapter(ClassName)
EMAIL: Final[TypeAdapter[str | None]] = TypeAdapter(Email)
EXTERNAL_ID: Final[TypeAdapter[str | None]] = TypeAdapter(ExternalId)

#: A spreadsheet runs what begins so, also with letters of full width.
_FORMULA: Final = "[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]"
#: What a formula that failed leaves, and what is left of a long number.
_FAILED: Final = r"#(?:N/A|REF!|NAME\?|VALUE!|DIV/0!|NULL!|NUM!|SAKNAS!|REFERENS!|NAMN\?)"
_SHORTENED: Final = r"\d(?:[.,]\d+)?E\+\d+"
_SPOILT: Final = re.compile(rf"{_FAILED}|{_SHORTENED}")
# Also behind what a spreadsheet of another country takes for the end of a cell.
_AT: Final = "(^|[;,\t])"
_RISK: Final = rf"[ ']*{_FORMULA}"
_SPOILT_WHOLE: Final = rf"'*(?:{_FAILED}|{_SHORTENED})\Z"
_RISKS: Final = re.compile(rf"{_AT}(?={_RISK})|^(?={_SPOILT_WHOLE})")
_GUARDS: Final = re.compile(rf"{_AT}'(?={_RISK})|^'(?={_SPOILT_WHOLE})")

_NUMBER: Final = re.compile(r"[+-]?[\d\s.,]+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")

_IS_FORMULA: Final = "A formula, not what it gives."
_IS_SPOILT: Final = "What a spreadsheet leaves of a formula that failed, or of a long number."

T = TypeVar("T")


def harmless(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs."""
    return _RISKS.sub(r"\1'", text) if _RISKS.search(text) else text


def plain(cell: str) -> str:
    """Return what `harmless` was given."""
    return _GUARDS.sub(r"\1", cell) if _GUARDS.search(cell) else cell


def kind_of(cell: str) -> str:
    """Return what stands in a cell, for an error that must not quote it."""
    text = without_blanks(cell)
    if not text:
        return "empty"
    if _is_formula(text) or _SPOILT.fullmatch(text):
        return "formula"
    if "@" in text:
        return "address"
    if _DATE.fullmatch(text):
        return "date"
    return "number" if _NUMBER.fullmatch(text) else "text"


def _is_formula(text: str) -> bool:
    return text.startswith(("=", "\uff1d"))


def spoilt(text: str) -> str | None:
    """Return what is wrong with a cell that a spreadsheet wrote, None if nothing is."""
    if _is_formula(text):
        return _IS_FORMULA
    return _IS_SPOILT if _SPOILT.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the columns of a file are; `titles` are their headings as they stand there."""

    places: Mapping[str, int]
    titles: Mapping[str, str] = field(default_factory=dict)

    def title(self, column: str) -> str:
        """Return how the file calls a column."""
        return self.titles.get(column, column)


@dataclass(slots=True)
class Row:
    """The cells of a line, by column; the faults found in them are gathered."""

    columns: Columns
    cells: Sequence[str]
    errors: list[CellError] = field(default_factory=list)

    def text(self, column: str) -> str:
        """Return a cell as it stands there, "" where there is none."""
        place = self.columns.places.get(column)
        return "" if place is None else self.cells[place]

    def read(self, column: str, form: TypeAdapter[T]) -> T | None:
        """Return a cell's value, None where it is blank or at fault."""
        text = without_blanks(self.text(column))
        if not text:
            return None
        if fault := spoilt(text):
            self.fault(column, fault)
            return None
        return self.check(column, plain(text), form)

    def check(self, column: str, text: str, form: TypeAdapter[T]) -> T | None:
        """Return a text of a column as a value, None if it is at fault."""
        try:
            return form.validate_python(text)
        except ValidationError as error:
            [first, *_] = faults_of(error, 1) or [FieldError("", "Does not fit.")]
            self.fault(column, first.detail)
            return None

    def fault(self, column: str, detail: str) -> None:
        """Remember what is wrong with a cell."""
        kind = kind_of(self.text(column))
        self.errors.append(CellError(self.columns.title(column), kind, detail))
