"""What the clock decides (docs/contract.md, section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from rules.changes import NewStudentRequest
from rules.emails import OWN_DOMAIN
from rules.ids import new_id
from rules.models import (
    SYSTEM_TIMEOUT,
    Association,
    Caller,
    ClassSummary,
    Decision,
    Method,
    NewStudent,
    PersonName,
    Status,
    Trace,
)

#: Essays that one transaction decides: enough to share the cost of a transaction, few enough that
#: a teacher who waits for one of the batches does not notice.
ESSAYS_AT_ONCE: Final = 1000

UNKNOWN_NAME: Final = PersonName("UNKNOWN", "STUDENT", "UNKNOWN STUDENT")


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """One due association; `keeps` is the student it keeps, None sends it to UNKNOWN."""

    essay_id: UUID
    keeps: UUID | None


def due(
    associations: Iterable[Association],
    now: datetime,
    high_confidence: float,
    unknown_student_id: UUID | None = None,
) -> list[ClockVerdict]:
    """Judge the pending associations whose `confirm_by` has come by `now` (PostgreSQL's clock).

    `unknown_student_id` is the class's UNKNOWN student, if it has been made.
    """

    def keeps(a: Association) -> UUID | None:
        return kept(a.suggested_student_id, a.confidence, high_confidence, unknown_student_id)

    return [ClockVerdict(a.essay_id, keeps(a)) for a in associations if is_due(a, now)]


def is_due(association: Association, now: datetime) -> bool:
    """Whether the clock decides an association; SQL has its own condition for it."""
    return association.pending and association.confirm_by <= now


def kept(
    suggested_student_id: UUID | None,
    confidence: float,
    high_confidence: float,
    unknown_student_id: UUID | None,
) -> UUID | None:
    """Return the student that a due association keeps, None if it goes to UNKNOWN.

    Older versions took suggestions of UNKNOWN itself: such an essay is a guest's, too.
    """
    if suggested_student_id == unknown_student_id:
        return None
    return suggested_student_id if confidence >= high_confidence else None


def given(keeps: UUID | None, unknown_student_id: UUID | None) -> UUID:
    """Return the student decided on; `unknown_student_id` is needed if no student is kept."""
    student_id = keeps or unknown_student_id
    if student_id is None:
        msg = "an association without a student needs the class's UNKNOWN student"
        raise ValueError(msg)
    return student_id


def decide(verdict: ClockVerdict, unknown_student_id: UUID | None) -> Decision:
    """Turn a verdict into a decision, as `given` does."""
    student_id = given(verdict.keeps, unknown_student_id)
    return Decision(
        verdict.essay_id, Status.TIMEOUT_CONFIRMED, Method.TIMEOUT, student_id, SYSTEM_TIMEOUT
    )


def first_batches(due: Iterable[int], most: int) -> int:
    """Return how many batches, from the front, one transaction takes.

    `due` has the number of due essays of each batch. Together they have at most `most`; a first
    batch with more goes alone, since a batch is not split.
    """
    essays = 0
    batches = 0
    for count in due:
        essays += count
        if batches and essays > most:
            break
        batches += 1
    return batches


def unknown_student_email(class_id: UUID) -> str:
    """Return the email by which a class's UNKNOWN student is found."""
    return f"unknown.{class_id}@{OWN_DOMAIN}"


def unknown_student(cls: ClassSummary, trace: Trace, by: str) -> NewStudentRequest:
    """Return the request for a class's UNKNOWN student, created when first needed: for `by`."""
    email = unknown_student_email(cls.id)
    new = NewStudent(new_id(), UNKNOWN_NAME, email, (cls.id,), is_placeholder=True)
    return NewStudentRequest(Caller(cls.owner_id, trace), new, by)


def open_until(associations: Iterable[Association]) -> datetime | None:
    """Return when the clock decides next, else when it last could have; None without any."""
    found = list(associations)
    latest = max((a.confirm_by for a in found), default=None)
    return min((a.confirm_by for a in found if a.pending), default=latest)
