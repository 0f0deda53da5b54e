"""A decision that is changed after it was made (docs/contract.md, section 2)."""

from typing import Final
from uuid import UUID

from rules import decisions
from rules.errors import BatchConflictError, FieldError, ValidationFailedError
from rules.models import Association, Decision, Method, PastDecision, Status

_PENDING: Final = "This essay is not decided yet, so there is nothing to correct: confirm it."


def correct(
    current: Association, student_id: UUID | None, teacher_id: str, *, is_member: bool
) -> Decision | None:
    """Return the decision that takes the place of the one that stands, None if it is the same.

    `student_id` None is nobody; `is_member` says whether the student is in the batch's class. The
    same student again is the same decision, whoever made it, as it is where essays are confirmed.

    Raises BatchConflictError (nothing decided yet) and ValidationFailedError.
    """
    if current.pending:
        raise BatchConflictError(_PENDING)
    status = Status.REJECTED if student_id is None else Status.CONFIRMED
    wanted = Decision(current.essay_id, status, Method.HUMAN, student_id, teacher_id)
    if decisions.repeats(wanted, current):
        return None
    if student_id is not None and not is_member:
        fault = FieldError("/student_id", decisions.OUTSIDE_CLASS)
        raise ValidationFailedError("The decision cannot be corrected so.", [fault])
    return wanted


def decision_of(association: Association) -> PastDecision | None:
    """Return the decision that stands, None while there is none."""
    at, by, method = association.validated_at, association.validated_by, association.method
    if at is None or by is None or method is None:
        return None
    return PastDecision(at, by, method, association.student_id, association.status)
