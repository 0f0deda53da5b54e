"""Classes and students."""

from typing import Annotated

from pydantic import Field

from web.schemas.base import Count, Id, Instant, Output, Pagination

ExternalId = Annotated[
    str | None, Field(description="What another system calls it; null: nothing.")
]


class PersonName(Output):
    """PersonNameV1: a person may have one name only; the other part is empty then."""

    first_name: str
    last_name: str
    legal_full_name: str


class Student(Output):
    """A student of the caller's."""

    id: Id
    person_name: PersonName
    first_name: str
    last_name: str
    full_name: str
    email: str | None
    external_id: ExternalId
    class_ids: list[Id]
    is_placeholder: bool = Field(
        description="Whether it is a class's UNKNOWN student, which belongs to the service."
    )
    created_at: Instant
    updated_at: Instant


class StudentPage(Output):
    """A page of students."""

    students: list[Student]
    pagination: Pagination


class Class(Output):
    """A class of the caller's."""

    id: Id
    name: str
    course_code: str
    external_id: ExternalId
    student_count: Count = Field(description="The UNKNOWN student is not counted.")
    created_at: Instant
    updated_at: Instant


class ClassDetail(Class):
    """A class with its students."""

    students: list[Student]


class ClassPagination(Pagination):
    """Where a page of classes stands."""

    offset: Count | None = Field(description="As asked for; null with a `cursor`.")


class ClassPage(Output):
    """A page of classes."""

    classes: list[Class]
    pagination: ClassPagination


class RosterStudent(Output):
    """A student of a roster."""

    student_id: Id
    first_name: str
    last_name: str
    full_legal_name: str
    email: str | None


class Roster(Output):
    """Who is in a class."""

    students: list[RosterStudent]


class ClassDeletion(Output):
    """What deleting a class would end."""

    batches_open: Count
    associations_pending: Count


class Course(Output):
    """A course that a class can belong to."""

    course_code: str
    name: str
    language: str


class Courses(Output):
    """All courses."""

    courses: list[Course]
