"""What is written to files: classes with their students, from what a store gives."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from rules.imports.files import Format
from rules.imports.plans import ClassState, RosterState, StudentState
from rules.imports.writing import ExportClass, csv_classes, csv_roster, oneroster
from rules.models import ClassRecord, PersonName, StudentRecord

#: As many rows as a file may have that is imported.
MAX_ROWS: Final = 50_000

#: Files have no times.
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
_NOBODY: Final = ""


def row_count(state: RosterState) -> int:
    """Return how many rows the file of all classes has."""
    return sum(max(len(one.member_ids), 1) for one in state.classes.values())


def classes_file(state: RosterState, file_format: Format, on: date) -> bytes:
    """Return all classes and their rosters as a file, of the school year that a day is in."""
    classes = [
        _of_state(one, state.students)
        for one in sorted(state.classes.values(), key=lambda one: (one.name, one.id))
    ]
    return csv_classes(classes) if file_format is Format.CSV else oneroster(classes, on)


def roster_file(document: bytes) -> bytes:
    """Return the roster of a class as CSV, from its JSON (rules.documents.class_detail_json)."""
    detail = orjson.loads(document)
    record = _class(
        UUID(detail["id"]), detail["name"], detail["course_code"], detail["external_id"]
    )
    return csv_roster(ExportClass(record, [_of_json(one) for one in detail["students"]]))


def _of_state(one: ClassState, students: Mapping[UUID, StudentState]) -> ExportClass:
    members = sorted(
        (students[member] for member in one.member_ids),
        key=lambda student: (student.name.last_name, student.name.first_name, student.id),
    )
    record = _class(one.id, one.name, one.course_code, one.external_id)
    return ExportClass(record, [_of_student(student) for student in members])


def _class(class_id: UUID, name: str, course_code: str, external_id: str | None) -> ClassRecord:
    return ClassRecord(class_id, _NOBODY, name, course_code, 0, 1, _NO_TIME, _NO_TIME, external_id)


def _of_student(student: StudentState) -> StudentRecord:
    return StudentRecord(
        student.id,
        _NOBODY,
        student.name,
        student.email,
        (),
        1,
        _NO_TIME,
        _NO_TIME,
        external_id=student.external_id,
    )


def _of_json(student: Mapping[str, Any]) -> StudentRecord:
    return StudentRecord(
        UUID(student["id"]),
        _NOBODY,
        PersonName(**student["person_name"]),
        student["email"],
        (),
        1,
        _NO_TIME,
        _NO_TIME,
        is_placeholder=student["is_placeholder"],
        external_id=student["external_id"],
    )
