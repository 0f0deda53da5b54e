"""Finding students by a part of a name or an address, in pages (docs/contract.md, section 2)."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from rules import emails
from rules.models import StudentRecord

#: What students are ordered by, in code point order: last name, first name, id.
Key: TypeAlias = tuple[str, str, UUID]

#: Longer than any transaction. A change is dated at the start of its transaction, so what began
#: before the first page of a list was read may be seen only after it.
LONGEST_TRANSACTION: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended, in a list whose first page was read at `since`.

    The list has the students by their keys, and then `again` those that may have been changed since
    then: one that was to come may have moved to where the list had been.
    """

    key: Key
    since: datetime
    again: bool = False


@dataclass(frozen=True, slots=True)
class StudentQuery:
    """Which of an owner's students are wanted; None is no condition.

    The student at `after` may be gone or renamed. `part` is a part of a name or an address, in any
    case.
    """

    limit: int
    after: Position | None = None
    part: str | None = None
    email: str | None = None
    external_id: str | None = None
    class_id: UUID | None = None

    @property
    def pattern(self) -> str | None:
        """The regular expression for `part`, which PostgreSQL and Python read alike."""
        return None if self.part is None else _pattern(self.part)


@dataclass(frozen=True, slots=True)
class StudentPage:
    """Students in their order; `next` is where the next page begins, None if this is the last."""

    students: tuple[StudentRecord, ...]
    next: Position | None = None


def place(student: StudentRecord, after: Position | None) -> bool | None:
    """Return whether a student comes `again` after a position, None if it does not come.

    FIND_STUDENTS has the same condition.
    """
    if after is None:
        return False
    is_behind = key_of(student) > after.key
    if is_behind and not after.again:
        return False
    is_changed = (
        student.version > 1
        and student.updated_at >= after.since - LONGEST_TRANSACTION
        and student.created_at < after.since
    )
    return True if is_changed and (is_behind or not after.again) else None


def page(
    query: StudentQuery, found: Sequence[tuple[StudentRecord, bool]], now: datetime
) -> StudentPage:
    """Return a page of students, of which one more is given than is wanted, if there are others.

    Each with whether it comes `again`.
    """
    students = tuple(student for student, _ in found[: query.limit])
    if len(found) <= query.limit:
        return StudentPage(students)
    last, again = found[query.limit - 1]
    since = query.after.since if query.after else now
    return StudentPage(students, Position(key_of(last), since, again))


def key_of(student: StudentRecord) -> Key:
    """Return what students are ordered by."""
    return student.name.last_name, student.name.first_name, student.id


def is_found(student: StudentRecord, pattern: str) -> bool:
    """Whether a pattern is found in a student; FIND_STUDENTS has the same condition."""
    name = student.name
    texts = [f"{name.first_name} {name.last_name}", name.legal_full_name, student.email or ""]
    return re.search(pattern, unicodedata.normalize("NFC", "\n".join(texts))) is not None


def is_asked_for(student: StudentRecord, query: StudentQuery) -> bool:
    """Whether all conditions of a query hold of its owner's student, and it has yet to come."""
    email = None if student.email is None else emails.key_of(student.email)
    return (
        not student.is_placeholder
        and place(student, query.after) is not None
        and (query.pattern is None or is_found(student, query.pattern))
        and (query.email is None or emails.key_of(query.email) == email)
        and query.external_id in (None, student.external_id)
        and (query.class_id is None or query.class_id in student.class_ids)
    )


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
