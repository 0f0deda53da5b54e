"""The JSON of the answers (docs/contract.md, section 2), except rules/documents.py.

The serialiser handles instants, ids and dataclasses whose members have the contract's names
(PersonName is PersonNameV1).
"""

from collections.abc import Iterable

from rules.batches import BatchSummary, ValidationStatus
from rules.class_pages import ClassPage, ClassQuery
from rules.courses import Course
from rules.documents import Json, class_json, pagination_json, student_json
from rules.feed import FeedPage, HistoryPage, ToldChange, data_of, external_id_of
from rules.history import ChangeKind
from rules.models import (
    BatchState,
    BatchTotals,
    ClassSummary,
    EssayStudent,
    PastDecision,
)
from rules.search import StudentPage


def class_page_json(page: ClassPage, query: ClassQuery, next_cursor: str | None) -> Json:
    """Return a page of classes."""
    pagination = pagination_json(query.limit, len(page.classes), next_cursor)
    return {
        "classes": [class_json(record) for record in page.classes],
        "pagination": {**pagination, "offset": None if query.after else query.offset},
    }


def student_page_json(page: StudentPage, limit: int, next_cursor: str | None) -> Json:
    """Return a page of students."""
    students = [student_json(student) for student in page.students]
    pagination = pagination_json(limit, len(students), next_cursor)
    return {"students": students, "pagination": pagination}


def course_json(course: Course) -> Json:
    """Return a course."""
    return {"course_code": course.code, "name": course.name, "language": course.language}


def batch_summary_json(batch: BatchSummary) -> Json:
    """Return a batch in its teacher's list."""
    return {
        "batch_id": batch.batch_id,
        "class_id": batch.class_id,
        "class_name": batch.class_name,
        "course_code": batch.course_code,
        "state": batch.state,
        "associations_total": batch.total,
        "associations_pending": batch.pending,
        "associations_unmatched": batch.unmatched,
        "confirm_by": batch.confirm_by,
        "created_at": batch.created_at,
        "closed_at": batch.closed_at,
    }


def validation_status_json(status: ValidationStatus | None) -> Json | None:
    """Return how far a batch is, for other services."""
    if status is None:
        return None
    return {
        "batch_id": status.batch_id,
        "deviation_count": status.pending,
        "auto_confirm_deadline": status.confirm_by,
        "total_associations": status.total,
        "confirmed_associations": status.confirmed,
    }


def history_json(decisions: Iterable[PastDecision]) -> Json:
    """Return the decisions on an essay, oldest first."""
    return {
        "history": [
            {
                "at": one.at,
                "by": one.by,
                "method": one.method,
                "student_id": one.student_id,
                "validation_status": one.status,
            }
            for one in decisions
        ]
    }


def changes_json(page: FeedPage, next_cursor: str) -> Json:
    """Return a page of the feed of changes."""
    changes = [_told_json(told) for told in page.changes]
    return {"changes": changes, "next_cursor": next_cursor, "more": page.more}


def _told_json(told: ToldChange) -> Json:
    change = told.change
    return {
        "sequence": told.sequence,
        "at": told.at,
        "kind": change.kind,
        "entity": change.entity,
        "id": change.id,
        "external_id": external_id_of(change),
        "owner": change.owner_id,
        "by": change.by,
        "correlation_id": change.correlation_id,
        "version": change.version,
        "data": data_of(told),
        "before": change.before if change.kind is ChangeKind.UPDATED else None,
    }


def past_json(page: HistoryPage, limit: int, next_cursor: str | None) -> Json:
    """Return a page of the history of a class or student."""
    history = [
        {
            "at": past.at,
            "by": past.change.by,
            "kind": past.change.kind,
            "entity": past.change.entity,
            "class_id": past.change.class_id,
            "before": past.change.before,
            "after": past.change.after,
            "correlation_id": past.change.correlation_id,
        }
        for past in page.changes
    ]
    return {
        "history": history,
        "pagination": pagination_json(limit, len(history), next_cursor),
    }


def totals_json(totals: BatchTotals) -> Json:
    """Return the totals of a batch after a teacher's decisions."""
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
    """Return a batch's state in the database."""
    if state is None:
        return None
    return {
        "pending_count": state.pending_count,
        "confirm_by": state.confirm_by,
        "closed_at": state.closed_at,
    }
