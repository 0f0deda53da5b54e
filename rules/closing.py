"""What a batch publishes when its last pending association is decided.

docs/contract.md, section 3: exactly one StudentAssociationsConfirmedV1 per batch, and with it a
ValidationTimeoutProcessedV1 when the clock decided any of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from rules import topics
from rules.events import notifications
from rules.events.envelopes import publish
from rules.models import (
    Association,
    Batch,
    ClassSummary,
    DeletedClass,
    Method,
    OutboxMessage,
    Policy,
    Status,
)


class NamedStudent(NamedTuple):
    """The part of a student that the timeout event carries."""

    first_name: str
    last_name: str
    email: str | None
    is_placeholder: bool = False


@dataclass(frozen=True, slots=True)
class ClosingBatch:
    """A batch with nothing pending, its class, and the students decided for its essays."""

    batch: Batch
    cls: ClassSummary | DeletedClass
    associations: Sequence[Association]
    students: Mapping[UUID, NamedStudent]

    @property
    def timeout_triggered(self) -> bool:
        """Whether the clock decided any of it, also if that was corrected since."""
        return self.batch.timeout_triggered or any(
            a.method is Method.TIMEOUT for a in self.associations
        )


def closes(batch: Batch, pending: int) -> bool:
    """Whether a batch that was touched closes now, given how many associations are pending.

    One whose class was deleted is left to `rules.open_batches`.
    """
    return batch.closed_at is None and batch.class_id is not None and pending == 0


def close(closing: ClosingBatch, policy: Policy, at: datetime) -> list[OutboxMessage]:
    """Build the events and notifications of a closing batch; `at` is when it closes."""
    totals = summary(closing.associations)
    by_clock = closing.timeout_triggered
    messages = [_confirmed_event(closing, totals, at, timeout_triggered=by_clock)]
    subject = notifications.Subject(
        closing.cls.owner_id,
        closing.batch.trace,
        at,
        class_id=closing.cls.id,
        batch_id=closing.batch.id,
    )
    if by_clock:
        kept, guests = _split_by_clock(closing)
        messages.append(_timeout_event(closing, kept, guests, policy, at))
        messages.append(notifications.timeout_processed(subject, len(kept), policy))
    messages.append(
        notifications.associations_confirmed(subject, totals, timeout_triggered=by_clock)
    )
    return messages


def summary(associations: Sequence[Association]) -> dict[str, int]:
    """Count a closed batch's associations for `validation_summary`."""
    rejected = [a.status for a in associations].count(Status.REJECTED)
    methods = [a.method for a in associations]
    return {
        "total_associations": len(associations),
        "confirmed": len(associations) - rejected,
        "rejected": rejected,
        **{method.value: methods.count(method) for method in Method},
    }


def _confirmed_event(
    closing: ClosingBatch, totals: Mapping[str, int], at: datetime, *, timeout_triggered: bool
) -> OutboxMessage:
    batch = closing.batch
    data = {
        "event_name": "student.associations.confirmed",
        "entity_id": batch.id,
        "entity_type": "batch",
        "parent_id": None,
        "timestamp": at,
        "batch_id": batch.id,
        "class_id": closing.cls.id,
        "course_code": closing.cls.course_code,
        "associations": [_confirmed_association(a) for a in closing.associations],
        "timeout_triggered": timeout_triggered,
        "validation_summary": totals,
    }
    return publish(topics.ASSOCIATIONS_CONFIRMED, batch.id, data, batch.trace, at)


def _confirmed_association(association: Association) -> dict[str, Any]:
    return {
        "essay_id": association.essay_id,
        "student_id": association.student_id,
        "confidence_score": association.confidence,
        "validation_method": association.method,
        "validated_by": association.validated_by,
        "validated_at": association.validated_at,
    }


def _split_by_clock(closing: ClosingBatch) -> tuple[list[Association], list[Association]]:
    kept: list[Association] = []
    guests: list[Association] = []
    for association in closing.associations:
        if association.method is Method.TIMEOUT and association.student_id is not None:
            (guests if _is_guest(association, closing) else kept).append(association)
    return kept, guests


def _is_guest(association: Association, closing: ClosingBatch) -> bool:
    """Whether the clock chose UNKNOWN, which may itself have been suggested."""
    if association.student_id != association.suggested_student_id:
        return True
    student = closing.students.get(association.student_id) if association.student_id else None
    return student is not None and student.is_placeholder


def _timeout_event(
    closing: ClosingBatch,
    kept: Sequence[Association],
    guests: Sequence[Association],
    policy: Policy,
    at: datetime,
) -> OutboxMessage:
    batch = closing.batch
    data = {
        "event_name": "validation.timeout.processed",
        "entity_id": batch.id,
        "entity_type": "batch",
        "parent_id": None,
        "timestamp": at,
        "batch_id": batch.id,
        "user_id": closing.cls.owner_id,
        "timeout_hours": policy.timeout_hours,
        "timeout_seconds": policy.timeout_seconds,
        "auto_confirmed_associations": [
            _auto_confirmed(a, a.student_id, closing) for a in kept if a.student_id
        ],
        "guest_essays": [a.essay_id for a in guests],
        "guest_class_created": False,
        "guest_class_id": None,
        "processing_timestamp": at,
    }
    return publish(topics.TIMEOUT_PROCESSED, batch.id, data, batch.trace, at)


def _auto_confirmed(
    association: Association, student_id: UUID, closing: ClosingBatch
) -> dict[str, Any]:
    student = closing.students[student_id]
    return {
        "essay_id": association.essay_id,
        "student_first_name": student.first_name,
        "student_last_name": student.last_name,
        "student_email": student.email,
        "confidence_score": association.confidence,
        "is_confirmed": True,
    }
