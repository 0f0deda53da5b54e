"""Finding students by a part of a name or an address, in pages (docs/contract.md, section 2)."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from rules.models import StudentRecord

#: Last name, first name and id of a student: what lists are ordered by, in code point order.
Position: TypeAlias = tuple[str, str, UUID]


@dataclass(frozen=True, slots=True)
class StudentQuery:
    """Which of an owner's students are wanted; None is no condition.

    `after` is the last student of the page before; it may be gone or renamed. `part` is a part of
    a name or an address, in any case.
    """

    limit: int
    after: Position | None = None
    part: str | None = None
    email: str | None = None
    class_id: UUID | None = None

    @property
    def pattern(self) -> str | None:
        """The regular expression for `part`, which PostgreSQL and Python read alike."""
        return None if self.part is None else _pattern(self.part)


@dataclass(frozen=True, slots=True)
class StudentPage:
    """Students in their order; `more` if others follow."""

    students: tuple[StudentRecord, ...]
    more: bool

    @property
    def next(self) -> Position | None:
        """Behind which the next page begins, None if this is the last."""
        return position(self.students[-1]) if self.more and self.students else None


def position(student: StudentRecord) -> Position:
    """Return a student's position in the order of a list."""
    return student.name.last_name, student.name.first_name, student.id


def is_found(student: StudentRecord, pattern: str) -> bool:
    """Whether a pattern is found in a student; FIND_STUDENTS has the same condition."""
    name = student.name
    texts = [f"{name.first_name} {name.last_name}", name.legal_full_name, student.email or ""]
    return re.search(pattern, unicodedata.normalize("NFC", "\n".join(texts))) is not None


def _pattern(part: str) -> str:
    return "".join(_either_case(c) for c in unicodedata.normalize("NFC", part))


def _either_case(character: str) -> str:
    """Return an expression for a character in either case.

    The case is ours, as what PostgreSQL knows of it depends on how the database was made.
    """
    cases = sorted(set(_cases(character)))
    if len(cases) > 1:
        return f"[{''.join(cases)}]"
    is_special = character.isascii() and not character.isalnum()
    return f"\\{character}" if is_special else character


def _cases(character: str) -> Iterator[str]:
    yield character
    for changed in (character.lower(), character.upper(), character.title(), character.casefold()):
        if len(changed) == 1:
            yield changed
