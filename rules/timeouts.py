"""What the clock decides (docs/contract.md, section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
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

#: Essays that one transaction decides: enough that what each transaction costs is shared out, few
#: enough that a teacher who waits for one of the batches does not notice.
ESSAYS_AT_ONCE: Final = 1000


#: What the clock makes of an association.
STATUS: Final = Status.TIMEOUT_CONFIRMED
METHOD: Final = Method.TIMEOUT


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
        ClockVerdict(a.essay_id, kept(a.suggested_student_id, a.confidence, high_confidence))
        for a in associations
        if is_due(a, now)
    ]


def is_due(association: Association, now: datetime) -> bool:
    """Whether the clock decides an association; in SQL, the statements' own condition."""
    return association.pending and association.confirm_by <= now


def kept(
    suggested_student_id: UUID | None, confidence: float, high_confidence: float
) -> UUID | None:
    """Return the student that a due association keeps, None where UNKNOWN takes the place."""
    return suggested_student_id if confidence >= high_confidence else None


def given(keeps: UUID | None, unknown_student_id: UUID | None) -> UUID:
    """Return the student decided on; `unknown_student_id` is needed where no student is kept."""
    student_id = keeps or unknown_student_id
    if student_id is None:
        msg = "an association without a student needs the class's UNKNOWN student"
        raise ValueError(msg)
    return student_id


def decide(verdict: ClockVerdict, unknown_student_id: UUID | None) -> Decision:
    """Turn a verdict into a decision; `unknown_student_id` is needed where no student is kept."""
    student_id = given(verdict.keeps, unknown_student_id)
    return Decision(verdict.essay_id, STATUS, METHOD, student_id, SYSTEM_TIMEOUT)


def first_batches(due: Iterable[int], most: int) -> int:
    """Return how many batches, from the front, one transaction takes.

    `due` has the number of due essays of each batch. Together they have at most `most`; a first
    batch that has more goes alone, since a batch is not taken apart.
    """
    essays = 0
    batches = 0
    for count in due:
        essays += count
        if batches and essays > most:
            break
        batches += 1
    return batches


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
