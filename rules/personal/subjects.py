"""Whose data is exported or erased, and what is known of it meanwhile."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from rules.identity import SYSTEM_ERASED
from rules.ids import new_id_text


class Kind(StrEnum):
    """What kind of person."""

    USER = "user"
    STUDENT = "student"


@dataclass(frozen=True, slots=True)
class Subject:
    """A user (a teacher), by its id, or a student, by the text of its UUID."""

    kind: Kind
    id: str

    @property
    def student_id(self) -> UUID:
        """The student."""
        return UUID(self.id)


@dataclass(frozen=True, slots=True)
class Known:
    """By what a student's traces are found: all names and addresses that it had, and its essays."""

    owner_id: str
    names: tuple[str, ...] = ()
    essays: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasing under way; `pseudonym` stands for a user where rows stay."""

    id: UUID
    subject: Subject
    pseudonym: str
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was erased: rows by table, from the first start of this erasing on.

    `unfinished` says what there was to wait for, and was not over in time: then it is to be called
    again.
    """

    erasure: Erasure
    started_at: datetime
    finished_at: datetime | None
    counts: Mapping[str, int] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()


#: Shorter parts of names are parts of too much else.
_SHORTEST: Final = 3


def pseudonym() -> str:
    """Return a name for an erased user: random, and nobody can act by it."""
    return f"{SYSTEM_ERASED}:{new_id_text()}"


def names_of(students: Iterable[Mapping[str, str | None]]) -> tuple[str, ...]:
    """Return the full names and addresses of a student, as it is or was."""
    found: set[str] = set()
    for student in students:
        first, last = student.get("first_name") or "", student.get("last_name") or ""
        written = (f"{first} {last}", f"{last} {first}", f"{last}, {first}")
        texts = (*written, student.get("full_name"), student.get("email"))
        found |= {text.strip(" ,") for text in texts if text}
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))


def in_file_names(names: Iterable[str]) -> list[str]:
    """Return regular expressions of PostgreSQL that find these names in the names of files.

    People write `Berg_Anna-v2.docx`: all parts of the name, in its order, with anything between.
    """
    found: list[str] = []
    for name in names:
        local = name.partition("@")[0]
        parts = [re.escape(part) for part in re.split(r"[\s,._-]+", local) if part]
        if sum(map(len, parts)) >= _SHORTEST:
            found.append(".{0,3}".join(parts))
    return found
