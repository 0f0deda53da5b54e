"""The events of classes and students."""

from typing import Annotated, Literal

from pydantic import Field

from rules.events.schemas.base import Id, Instant, OneCourse, Published, UserId

_Designation = Annotated[str, Field(description="The class's name.")]
_Email = Annotated[str | None, Field(description="null: the student has none.")]
_ExternalId = Annotated[
    str | None, Field(description="What another system calls it; null: nothing.")
]
_By = Annotated[str, Field(min_length=1, description="The user who did it.")]


class Stamped(Published):
    """What each of them has."""

    correlation_id: Id
    timestamp: Instant


class _Class(Stamped):
    class_id: Id
    class_designation: _Designation
    course_codes: OneCourse
    external_id: _ExternalId
    user_id: UserId


class ClassCreatedV1(_Class):
    """A class was created."""

    event: Literal["class.created"]


class ClassUpdatedV1(_Class):
    """A class was changed: it is now as the event says."""

    event: Literal["class.updated"]


class ClassDeletedV1(Stamped):
    """A class was deleted; its students stay."""

    event: Literal["class.deleted"]
    class_id: Id
    external_id: _ExternalId
    user_id: UserId


class StudentCreatedV1(Stamped):
    """A student was created, and joined these classes."""

    event: Literal["student.created"]
    student_id: Id
    first_name: str
    last_name: str
    student_email: _Email
    external_id: _ExternalId
    class_ids: list[Id]
    created_by_user_id: _By


class StudentUpdatedV1(Stamped):
    """A student was changed: its name, email and external id are now as the event says."""

    event: Literal["student.updated"]
    student_id: Id
    first_name: str
    last_name: str
    student_email: _Email
    external_id: _ExternalId
    add_class_ids: list[Id] = Field(description="The classes that it joined by this change.")
    remove_class_ids: list[Id] = Field(description="The classes that it left by this change.")
    updated_by_user_id: _By


class StudentDeletedV1(Stamped):
    """A student was deleted."""

    event: Literal["student.deleted"]
    student_id: Id
    external_id: _ExternalId
    deleted_by_user_id: _By
