"""What the clock decides (contract, section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rules.models import (
    SYSTEM_TIMEOUT,
    UNKNOWN_FIRST_NAME,
    UNKNOWN_LAST_NAME,
    Association,
    Decision,
    Method,
    PersonName,
    Status,
)


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """One due association; `keeps` is the student it keeps, None sends it to UNKNOWN."""

    essay_id: UUID
    keeps: UUID | None


def due(
    associations: Iterable[Association], now: datetime, high_confidence: float
) -> list[ClockVerdict]:
    """Judge the pending associations whose `confirm_by` has come by `now` (PostgreSQL's clock)."""
    return [
        ClockVerdict(
            association.essay_id,
            association.suggested_student_id if association.confidence >= high_confidence else None,
        )
        for association in associations
        if association.pending and association.confirm_by <= now
    ]


def decide(verdict: ClockVerdict, unknown_student_id: UUID | None) -> Decision:
    """Turn a verdict into a decision; `unknown_student_id` is needed where nobody is kept."""
    student_id = verdict.keeps or unknown_student_id
    if student_id is None:
        msg = "an association without a student needs the class's UNKNOWN student"
        raise ValueError(msg)
    return Decision(
        verdict.essay_id, Status.TIMEOUT_CONFIRMED, Method.TIMEOUT, student_id, SYSTEM_TIMEOUT
    )


def unknown_student_name() -> PersonName:
    """Return the name of every class's UNKNOWN student."""
    full = f"{UNKNOWN_FIRST_NAME} {UNKNOWN_LAST_NAME}"
    return PersonName(UNKNOWN_FIRST_NAME, UNKNOWN_LAST_NAME, full)


def unknown_student_email(class_id: UUID) -> str:
    """Return the email that makes a class's UNKNOWN student findable."""
    return f"unknown.{class_id}@huleedu.system"


def open_until(associations: Iterable[Association]) -> datetime | None:
    """Return when the clock decides next, else when it last could have; None without any."""
    all_of_them = list(associations)
    latest = max((a.confirm_by for a in all_of_them), default=None)
    return min((a.confirm_by for a in all_of_them if a.pending), default=latest)
