"""Open batches in which nobody decides any more.

A batch of a deleted class closes after the deletion, by itself: its pending essays are rejected in
the name of who deleted the class. One with nothing pending closes as it is; an older version left
some open.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from rules.models import Batch, Caller, DeletedClass


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
class ClassDeletion:
    """What deleting a class would end."""

    batches_open: int
    associations_pending: int


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
