"""The JSON of what has a tag (rules.tags): classes, students, associations (docs/contract.md, 2).

A store may build it in the database: a class of thirty costs more as objects than as text.
Instants, ids and PersonName, whose members are named as in the contract, are left to the
serialiser.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from rules.models import AssociationView, BatchView, ClassDetail, ClassRecord, StudentRecord

Json = dict[str, Any]


def class_json(record: ClassRecord) -> Json:
    """Return a class."""
    return {
        "id": record.id,
        "name": record.name,
        "course_code": record.course_code,
        "external_id": record.external_id,
        "student_count": record.student_count,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def class_detail_json(detail: ClassDetail) -> Json:
    """Return a class with its students."""
    students = [student_json(student) for student in detail.students]
    return {**class_json(detail.record), "students": students}


def roster_json(students: Iterable[StudentRecord]) -> Json:
    """Return who is in a class; its UNKNOWN student is nobody."""
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
            if not student.is_placeholder
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
        "external_id": record.external_id,
        "class_ids": record.class_ids,
        "is_placeholder": record.is_placeholder,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def pagination_json(limit: int | None, returned: int, next_cursor: str | None) -> Json:
    """Return what belongs to a page that is followed by a cursor."""
    return {"limit": limit, "returned": returned, "next_cursor": next_cursor}


def batch_json(batch: BatchView, associations: Sequence[object], pagination: Json) -> Json:
    """Return a batch as its teacher sees it, with the JSON of its associations."""
    return {
        "batch_id": batch.batch_id,
        "class_id": batch.class_id,
        "confirm_by": batch.confirm_by,
        "closed_at": batch.closed_at,
        "associations": associations,
        "pagination": pagination,
    }


def whole_batch_json(batch: BatchView, associations: Sequence[object]) -> Json:
    """Return a batch with all of its associations, of which the JSON is given."""
    return batch_json(batch, associations, pagination_json(None, len(associations), None))


def association_json(view: AssociationView) -> Json:
    """Return an association; `student_id` is the decided student, `student_name` the shown one."""
    association = view.association
    return {
        "essay_id": association.essay_id,
        "filename": association.filename,
        "suggested_student_id": association.suggested_student_id,
        "student_id": association.student_id,
        "student_name": view.student_name,
        "confidence_score": association.confidence,
        "match_reasons": association.match_reasons,
        "suggestions": [
            {
                "student_id": suggestion.student_id,
                "student_name": view.names[suggestion.student_id],
                "confidence_score": suggestion.confidence,
                "match_reasons": suggestion.match_reasons,
            }
            for suggestion in association.suggestions
        ],
        "validation_status": association.status,
        "validation_method": association.method,
        "validated_by": association.validated_by,
        "validated_at": association.validated_at,
        "created_at": association.created_at,
        "confirm_by": association.confirm_by,
    }
