"""Students and classes as the pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from rules.class_pages import ClassQuery
from rules.models import StudentRecord
from rules.tags import student_tag
from rules.text import joined
from store.tagging import tag_of
from web.services import WebServices

#: Classes by page, where all of a teacher's are wanted: as many are rarely more than one page.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Person:
    """A student."""

    id: UUID
    first: str
    last: str
    legal: str
    email: str
    class_ids: tuple[UUID, ...]
    is_placeholder: bool

    @property
    def shown(self) -> str:
        """The name that people use."""
        return joined(self.first, self.last)

    @property
    def has_other_legal_name(self) -> bool:
        """Whether the legal name says more."""
        return self.legal != self.shown


def person_of(record: StudentRecord) -> Person:
    """Return a student as pages show it."""
    name = record.name
    return Person(
        record.id,
        name.first_name,
        name.last_name,
        name.legal_full_name,
        record.email or "",
        record.class_ids,
        record.is_placeholder,
    )


@dataclass(frozen=True, slots=True)
class TaggedPerson:
    """A student, and its tag when it was read."""

    person: Person
    tag: str


async def read_student(services: WebServices, owner_id: str, student_id: UUID) -> TaggedPerson:
    """Return a student. Raises StudentNotFoundError."""
    record = await services.classes.get_student(owner_id, student_id)
    return TaggedPerson(person_of(record), student_tag(record))


@dataclass(frozen=True, slots=True)
class ShownClass:
    """A class with its students, the UNKNOWN one apart, and its tag when it was read."""

    id: UUID
    name: str
    course: str
    students: tuple[Person, ...]
    unknown: Person | None
    tag: str


async def read_class(services: WebServices, owner_id: str, class_id: UUID) -> ShownClass:
    """Return a class. Raises ClassNotFoundError."""
    document = await services.classes.class_document(owner_id, class_id)
    read = orjson.loads(document)
    people = [_person(student) for student in read["students"]]
    return ShownClass(
        class_id,
        read["name"],
        read["course_code"],
        tuple(one for one in people if not one.is_placeholder),
        next((one for one in people if one.is_placeholder), None),
        await tag_of(document),
    )


def _person(student: Mapping[str, Any]) -> Person:
    return Person(
        UUID(student["id"]),
        student["first_name"],
        student["last_name"],
        student["full_name"],
        student["email"] or "",
        tuple(map(UUID, student["class_ids"])),
        student["is_placeholder"],
    )


async def class_names(services: WebServices, owner_id: str) -> dict[UUID, str]:
    """Return the names of all of a teacher's classes, newest first."""
    names: dict[UUID, str] = {}
    query = ClassQuery(_PAGE)
    while True:
        page = await services.classes.list_classes(owner_id, query)
        names |= {one.id: one.name for one in page.classes}
        if page.next is None:
            return names
        query = ClassQuery(_PAGE, after=page.next)
