"""The JSON that the service answers with (contract, section 2).

Instants and ids stay as they are, and so do the dataclasses whose members have the names of the
contract (PersonName is PersonNameV1): the serialiser knows all of them.
"""

from collections.abc import Iterable
from typing import Any

from rules.models import (
    AssociationView,
    BatchState,
    BatchTotals,
    BatchView,
    ClassDetail,
    ClassRecord,
    ClassSummary,
    EssayStudent,
    StudentRecord,
)

Json = dict[str, Any]


def class_json(record: ClassRecord) -> Json:
    """Return a class."""
    return {
        "id": record.id,
        "name": record.name,
        "course_code": record.course_code,
        "student_count": record.student_count,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def class_detail_json(detail: ClassDetail) -> Json:
    """Return a class with its students."""
    students = [student_json(student) for student in detail.students]
    return {**class_json(detail.record), "students": students}


def class_page_json(records: list[ClassRecord], limit: int, offset: int) -> Json:
    """Return a page of classes."""
    pagination = {"limit": limit, "offset": offset, "returned": len(records), "next_cursor": None}
    return {"classes": [class_json(record) for record in records], "pagination": pagination}


def roster_json(students: Iterable[StudentRecord]) -> Json:
    """Return who is in a class."""
    return {
        "students": [
            {
                "student_id": student.id,
                "first_name": student.name.first_name,
                "last_name": student.name.last_name,
                "full_legal_name": student.name.legal_full_name,
                "email": student.email,
            }
            for student in students
        ]
    }


def student_json(record: StudentRecord) -> Json:
    """Return a student."""
    return {
        "id": record.id,
        "person_name": record.name,
        "first_name": record.name.first_name,
        "last_name": record.name.last_name,
        "full_name": record.name.legal_full_name,
        "email": record.email,
        "class_ids": record.class_ids,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def batch_json(batch: BatchView) -> Json:
    """Return a batch as its teacher sees it."""
    return {
        "batch_id": batch.batch_id,
        "class_id": batch.class_id,
        "confirm_by": batch.confirm_by,
        "associations": [association_json(view) for view in batch.associations],
    }


def association_json(view: AssociationView) -> Json:
    """Return an association; `student_id` is who was decided, `student_name` who is shown."""
    association = view.association
    return {
        "essay_id": association.essay_id,
        "suggested_student_id": association.suggested_student_id,
        "student_id": association.student_id,
        "student_name": view.student_name,
        "confidence_score": association.confidence,
        "match_reasons": association.match_reasons,
        "validation_status": association.status,
        "validation_method": association.method,
        "validated_by": association.validated_by,
        "validated_at": association.validated_at,
        "created_at": association.created_at,
        "confirm_by": association.confirm_by,
    }


def totals_json(totals: BatchTotals) -> Json:
    """Return how a batch stands after a teacher's decisions."""
    return {
        "status": "partially_confirmed" if totals.pending else "confirmed",
        "associations_confirmed": totals.confirmed,
        "associations_rejected": totals.rejected,
        "associations_pending": totals.pending,
    }


def essay_student_json(decided: EssayStudent) -> Json:
    """Return the student of an essay."""
    return {
        "essay_id": decided.essay_id,
        "student_id": decided.student_id,
        "student_person_name": decided.name,
    }


def class_info_json(summary: ClassSummary | None) -> Json | None:
    """Return the class of a batch."""
    return {"class_id": summary.id, "class_name": summary.name} if summary else None


def batch_state_json(state: BatchState | None) -> Json | None:
    """Return what the database says of a batch."""
    if state is None:
        return None
    return {
        "pending_count": state.pending_count,
        "confirm_by": state.confirm_by,
        "closed_at": state.closed_at,
    }
