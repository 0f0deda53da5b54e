"""What is remembered of each change, in the transaction that makes it (docs/architecture.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from rules.models import Caller


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
    SYSTEM_TIMEOUT or SYSTEM_AUTO. `before` and `after` are JSON objects, None where there is none.
    `owner_id` owns the class or student; `by` may be the service, in the owner's name.
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
