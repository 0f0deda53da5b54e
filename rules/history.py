"""What is remembered of each change, in the transaction that makes it (docs/architecture.md)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from rules.models import Association, Caller, ClassRecord, StudentRecord

#: How long changes are kept: a cursor is good for as long (docs/contract.md).
KEPT_DAYS: Final = 30

#: What is remembered of an entity: the contract's names, and the attributes of the records. The
#: last part of an attribute is the column in PostgreSQL, which builds the same JSON.
CLASS_MEMBERS: Final[Mapping[str, str]] = {
    "name": "name",
    "course_code": "course_code",
    "external_id": "external_id",
}
STUDENT_MEMBERS: Final[Mapping[str, str]] = {
    "first_name": "name.first_name",
    "last_name": "name.last_name",
    "full_name": "name.legal_full_name",
    "email": "email",
    "external_id": "external_id",
    "is_placeholder": "is_placeholder",
}
#: What a decision sets.
DECISION_MEMBERS: Final[Mapping[str, str]] = {
    "student_id": "student_id",
    "validation_status": "status",
    "validation_method": "method",
    "validated_by": "validated_by",
}
#: What goes when the suggested student does. The reasons and the other suggestions are not
#: remembered: they are large, and stay with the association.
SUGGESTION_MEMBERS: Final[Mapping[str, str]] = {
    "suggested_student_id": "suggested_student_id",
    "confidence_score": "confidence",
}
#: What goes with a deleted student from what was decided.
REFERENCE_MEMBERS: Final[Mapping[str, str]] = {
    "suggested_student_id": "suggested_student_id",
    "student_id": "student_id",
}


class Entity(StrEnum):
    """What changed."""

    CLASS = "class"
    STUDENT = "student"
    ENROLLMENT = "enrollment"
    ASSOCIATION = "association"


class ChangeKind(StrEnum):
    """What happened to it."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one entity.

    `id` is the class's, the student's (also of an enrollment) or the essay's. `class_id` is the
    class that it is about: an enrollment's, an association's, the class itself. `by` is the user,
    SYSTEM_TIMEOUT or SYSTEM_AUTO. `owner_id` owns the class or student; `by` may be the service, in
    the owner's name. `version` is that of a class or student after the change; a deleted one keeps
    its last.

    `before` and `after` are JSON objects of the members above: of what was created or deleted all
    that are not null, of what was updated those that may have changed. Enrollments have none. So
    the rows of an entity, one after the other, are the entity. A created association has none
    either, since storing suggestions is the hot path: what it was at first is what it is now but
    for what its later rows changed, and they tell what was before.
    """

    owner_id: str
    entity: Entity
    id: UUID
    kind: ChangeKind
    by: str
    correlation_id: UUID
    class_id: UUID | None = None
    version: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def by_caller(caller: Caller, entity: Entity, entity_id: UUID, kind: ChangeKind) -> Change:
    """Return a change that a user makes of what it owns; complete it with `replace`."""
    return Change(
        caller.user_id, entity, entity_id, kind, caller.user_id, caller.trace.correlation_id
    )


def values(record: object, members: Mapping[str, str]) -> dict[str, Any]:
    """Return these members of a record."""
    return {name: attrgetter(attribute)(record) for name, attribute in members.items()}


def whole(record: object, members: Mapping[str, str]) -> dict[str, Any]:
    """Return those of the members that are not null."""
    return {name: one for name, one in values(record, members).items() if one is not None}


def class_change(
    caller: Caller, before: ClassRecord | None = None, after: ClassRecord | None = None
) -> Change:
    """Return the change that a class's owner makes of it: None is before or after its time."""
    return _record_change(caller, Entity.CLASS, CLASS_MEMBERS, before, after)


def student_change(
    caller: Caller, before: StudentRecord | None = None, after: StudentRecord | None = None
) -> Change:
    """Return the change that a student's owner makes of it: None is before or after its time."""
    return _record_change(caller, Entity.STUDENT, STUDENT_MEMBERS, before, after)


def _record_change(
    caller: Caller,
    entity: Entity,
    members: Mapping[str, str],
    before: ClassRecord | StudentRecord | None,
    after: ClassRecord | StudentRecord | None,
) -> Change:
    record = after or before
    if record is None:
        raise ValueError("neither before nor after")
    return replace(
        by_caller(caller, entity, record.id, _kind(before, after)),
        class_id=record.id if entity is Entity.CLASS else None,
        version=record.version,
        before=_told(members, before, after),
        after=_told(members, after, before),
    )


def _kind(before: object | None, after: object | None) -> ChangeKind:
    if before is None:
        return ChangeKind.CREATED
    return ChangeKind.DELETED if after is None else ChangeKind.UPDATED


def _told(
    members: Mapping[str, str], record: object | None, other: object | None
) -> dict[str, Any] | None:
    """Return what is told of a record, before or after; `other` is the one after or before."""
    if record is None:
        return None
    return whole(record, members) if other is None else values(record, members)


def enrollment_changes(
    caller: Caller, kind: ChangeKind, student_id: UUID, class_ids: Iterable[UUID]
) -> list[Change]:
    """Return the joining or leaving of a student."""
    return [
        replace(by_caller(caller, Entity.ENROLLMENT, student_id, kind), class_id=class_id)
        for class_id in class_ids
    ]


@dataclass(frozen=True, slots=True)
class Cause:
    """Of what a change of associations is part: whose, of which class, by whom, for which trace."""

    owner_id: str
    class_id: UUID | None
    by: str
    correlation_id: UUID


def association_created(cause: Cause, essay_id: UUID) -> Change:
    """Return the creation of an association."""
    return _of_association(cause, essay_id, ChangeKind.CREATED)


def association_change(
    cause: Cause, before: Association, after: Association, members: Mapping[str, str]
) -> Change:
    """Return the change of an association; `members` are those that it may change."""
    return replace(
        _of_association(cause, after.essay_id, ChangeKind.UPDATED),
        before=values(before, members),
        after=values(after, members),
    )


def _of_association(cause: Cause, essay_id: UUID, kind: ChangeKind) -> Change:
    return Change(
        cause.owner_id,
        Entity.ASSOCIATION,
        essay_id,
        kind,
        cause.by,
        cause.correlation_id,
        class_id=cause.class_id,
    )
