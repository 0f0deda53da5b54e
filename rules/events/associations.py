"""What tells that another student, or nobody, is decided for an essay."""

from datetime import datetime
from uuid import UUID

from rules import topics
from rules.events.envelopes import publish
from rules.models import Caller, OutboxMessage, StudentRecord


def association_updated(
    caller: Caller, batch_id: UUID, essay_id: UUID, student: StudentRecord | None, at: datetime
) -> OutboxMessage:
    """Build EssayStudentAssociationUpdatedV1; `student` None is nobody."""
    data = {
        "event": "essay.student.association.updated",
        "batch_id": batch_id,
        "essay_id": essay_id,
        "student_id": student.id if student else None,
        "first_name": student.name.first_name if student else None,
        "last_name": student.name.last_name if student else None,
        "student_email": student.email if student else None,
        "association_method": "manual",
        "confidence_score": None,
        "created_by_user_id": caller.user_id,
        "correlation_id": caller.trace.correlation_id,
        "timestamp": at,
    }
    return publish(topics.ASSOCIATION_UPDATED, batch_id, data, caller.trace, at)
