"""What changed, and the histories of classes and students."""

from typing import Any

from pydantic import Field

from rules.history import ChangeKind, Entity
from web.schemas.base import Id, Instant, Output, Pagination


class Change(Output):
    """A change, with its place among all of them."""

    sequence: int = Field(ge=1, description="Rises with each; yours may have gaps between them.")
    at: Instant = Field(description="When its transaction began.")
    kind: ChangeKind
    entity: Entity
    id: Id = Field(description="The class's, the student's (also of an enrollment), the essay's.")
    external_id: str | None = Field(description="Of a class or student; null of everything else.")
    owner: str = Field(description="Whose class or student it is.")
    by: str = Field(description="The user, or SYSTEM_TIMEOUT or SYSTEM_AUTO.")
    correlation_id: Id
    version: int | None = Field(description="Of a class or student, after the change.")
    data: dict[str, Any] = Field(
        description="What it is after the change, or was when it was deleted: the members that may "
        "have changed. Enrollments and associations have `class_id`. A created association is told "
        "as it is when you read; what changed since follows."
    )
    before: dict[str, Any] | None = Field(
        description="What the same members were before an update; null otherwise."
    )


class ChangePage(Output):
    """Changes, in the order in which to take them over."""

    changes: list[Change]
    next_cursor: str = Field(description="Where to go on: always given, and good for 30 days.")
    more: bool = Field(description="Whether there are more already.")


class PastChange(Output):
    """A change in a history."""

    at: Instant
    by: str
    kind: ChangeKind
    entity: Entity = Field(description="`enrollment`: a student joined or left the class.")
    class_id: Id | None = Field(description="The class itself, or that of an enrollment.")
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: Id = Field(description="That of the request or message.")


class History(Output):
    """What happened to a class or student, oldest first."""

    history: list[PastChange]
    pagination: Pagination
