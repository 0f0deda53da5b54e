"""Rows as the values of the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from rules.batches import BatchSummary
from rules.models import (
    Association,
    AssociationView,
    Batch,
    ClassRecord,
    ClassSummary,
    EssayStudent,
    Method,
    PastDecision,
    PersonName,
    Status,
    StudentRecord,
    Suggestion,
    Trace,
)
from store.pace import Pace

Row: TypeAlias = "asyncpg.Record"

# Looked up for every essay of a flood: this takes a quarter of the time of the enums.
_STATUSES: Final[Mapping[str, Status]] = {status.value: status for status in Status}
_METHODS: Final[Mapping[str | None, Method | None]] = {
    None: None,
    **{method.value: method for method in Method},
}
_SUMMARY: Final = tuple(field.name for field in fields(BatchSummary))


def class_record(row: Row) -> ClassRecord:
    """Read a class with its `student_count`."""
    return ClassRecord(
        id=row["id"],
        owner_id=row["owner_id"],
        name=row["name"],
        course_code=row["course_code"],
        external_id=row["external_id"],
        student_count=row["student_count"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def class_summary(row: Row) -> ClassSummary:
    """Read the part of a class that the rules need."""
    return ClassSummary(row["id"], row["owner_id"], row["name"], row["course_code"])


def person_name(row: Row) -> PersonName:
    """Read a student's name."""
    return PersonName(row["first_name"], row["last_name"], row["legal_full_name"])


def student_record(row: Row) -> StudentRecord:
    """Read a student with its `class_ids`."""
    return StudentRecord(
        id=row["id"],
        owner_id=row["owner_id"],
        name=person_name(row),
        email=row["email"],
        external_id=row["external_id"],
        class_ids=tuple(row["class_ids"]),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        is_placeholder=row["is_placeholder"],
    )


def batch(row: Row) -> Batch:
    """Read a batch."""
    trace = Trace(row["correlation_id"], row["traceparent"])
    return Batch(
        row["id"],
        row["class_id"],
        row["closed_at"],
        trace,
        row["deleted_class_id"],
        row["timeout_triggered"],
    )


def association(row: Row) -> Association:
    """Read an association."""
    return _association(row, tuple(row["match_reasons"]))


async def shown(found: Sequence[Row]) -> tuple[AssociationView, ...]:
    """Read a page of associations as they are shown; the names come with the first row."""
    pace = Pace()
    found = [row for row in found if row["essay_id"] is not None]
    named: dict[str, str] = orjson.loads(found[0]["names"] or "{}") if found else {}
    ids = {text: UUID(text) for text in named}
    names = {ids[text]: name for text, name in named.items()}
    views = []
    for row in found:
        one = replace(
            association(row),
            filename=row["filename"],
            suggestions=_suggestions(row["suggestions"], ids),
        )
        views.append(AssociationView(one, row["student_name"], names))
        await pace.keep()
    return tuple(views)


def _suggestions(stored: str | None, ids: Mapping[str, UUID]) -> tuple[Suggestion, ...]:
    """Read the suggestions of these students; null is what an older version stored."""
    return tuple(
        Suggestion(ids[s["student_id"]], s["confidence"], tuple(s["match_reasons"]))
        for s in orjson.loads(stored or "[]")
        if s["student_id"] in ids
    )


def batch_summary(row: Row) -> BatchSummary:
    """Read a batch of a teacher's list."""
    return BatchSummary(**{name: row[name] for name in _SUMMARY})


def closing(row: Row) -> Association:
    """Read an association of a closing batch, whose events have no match reasons."""
    return _association(row, ())


def _association(row: Row, match_reasons: tuple[str, ...]) -> Association:
    return Association(
        essay_id=row["essay_id"],
        batch_id=row["batch_id"],
        suggested_student_id=row["suggested_student_id"],
        student_id=row["student_id"],
        confidence=row["confidence"],
        match_reasons=match_reasons,
        status=_STATUSES[row["status"]],
        method=_METHODS[row["method"]],
        validated_by=row["validated_by"],
        validated_at=row["validated_at"],
        created_at=row["created_at"],
        confirm_by=row["confirm_by"],
    )


def past_decision(row: Row) -> PastDecision:
    """Read a decision."""
    return PastDecision(
        row["validated_at"],
        row["validated_by"],
        Method(row["method"]),
        row["student_id"],
        Status(row["status"]),
    )


def essay_student(row: Row) -> EssayStudent:
    """Read the student decided for an essay."""
    return EssayStudent(row["essay_id"], row["student_id"], person_name(row))
