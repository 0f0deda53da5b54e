"""The JSON of classes and students (docs/contract.md, section 2), which stores also return.

A store may build it in the database: a class of thirty costs more as objects than as text.
Instants, ids and PersonName, whose members are named as in the contract, are left to the
serialiser.
"""

from collections.abc import Iterable
from typing import Any

from rules.models import ClassDetail, ClassRecord, StudentRecord

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
        "class_ids": record.class_ids,
        "is_placeholder": record.is_placeholder,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
