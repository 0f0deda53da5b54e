"""Open batches in which nobody decides any more, and suggestions of students who have left.

A batch of a deleted class closes after the deletion, by itself: its pending essays are rejected in
the name of who deleted the class. One with nothing pending closes as it is; an older version left
some open.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from rules.history import Change, ChangeKind, Entity
from rules.models import Batch, Caller, DeletedClass, Method, Status


class Ending(StrEnum):
    """Why an open batch is closed without a further decision.

    `CLASS_UNKNOWN`: an older version deleted its class, and nobody knows it any more. There is
    nobody to tell, so it has no event.
    """

    CLASS_DELETED = "class_deleted"
    CLASS_UNKNOWN = "class_unknown"
    NOTHING_PENDING = "nothing_pending"


@dataclass(frozen=True, slots=True)
class Settled:
    """An open batch that was closed, and how many essays were rejected.

    With an `error` it is open still, and is tried again.
    """

    batch_id: UUID
    ending: Ending | None
    rejected: int = 0
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A pending essay whose suggested student is nobody's choice any more."""

    essay_id: UUID
    student_id: UUID
    confidence: float
    class_id: UUID | None


def deleted_class(caller: Caller, class_id: UUID, course_code: str) -> DeletedClass:
    """Return what is remembered of a class that its owner deletes."""
    return DeletedClass(class_id, caller.user_id, course_code, caller.user_id, caller.trace)


def ending(batch: Batch, deleted: DeletedClass | None, pending: int) -> Ending | None:
    """Return why a batch closes now, None if it is closed already or waits for decisions."""
    if batch.closed_at is not None:
        return None
    if batch.class_id is None:
        return Ending.CLASS_DELETED if deleted else Ending.CLASS_UNKNOWN
    return None if pending else Ending.NOTHING_PENDING


def rejections(deleted: DeletedClass, essays: Iterable[UUID]) -> list[Change]:
    """Return the changes of essays that are rejected because their class was deleted."""
    before = {"status": Status.PENDING.value}
    after = {
        "status": Status.REJECTED.value,
        "method": Method.HUMAN.value,
        "student_id": None,
        "validated_by": deleted.deleted_by,
    }
    return [
        Change(
            deleted.owner_id,
            Entity.ASSOCIATION,
            essay_id,
            ChangeKind.UPDATED,
            deleted.deleted_by,
            deleted.trace.correlation_id,
            class_id=deleted.id,
            before=before,
            after=after,
        )
        for essay_id in essays
    ]


def withdrawals(caller: Caller, withdrawn: Iterable[Withdrawn]) -> list[Change]:
    """Return the changes of essays that lose their suggested student."""
    return [
        Change(
            caller.user_id,
            Entity.ASSOCIATION,
            one.essay_id,
            ChangeKind.UPDATED,
            caller.user_id,
            caller.trace.correlation_id,
            class_id=one.class_id,
            before=_suggested(one.student_id, one.confidence),
            after=_suggested(None, 0.0),
        )
        for one in withdrawn
    ]


def _suggested(student_id: UUID | None, confidence: float) -> Mapping[str, Any]:
    return {
        "suggested_student_id": None if student_id is None else str(student_id),
        "confidence": confidence,
    }
