"""What a teacher decides (docs/contract.md, section 2, "Student associations")."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

from rules.errors import BatchConflictError, FieldError, ValidationFailedError
from rules.models import Association, BatchTotals, Decision, HumanDecision, Method, Status

OUTSIDE_CLASS: Final = "This student is not in the batch's class."

_KEPT = frozenset({Status.CONFIRMED, Status.TIMEOUT_CONFIRMED})


def decide(
    decisions: Sequence[HumanDecision],
    associations: Mapping[UUID, Association],
    members: AbstractSet[UUID],
    teacher_id: str,
) -> list[Decision]:
    """Return what to change for a teacher's decisions; repeated ones change nothing.

    `associations` are the batch's by essay, `members` the students of its class.

    Raises ValidationFailedError (unknown essay, student outside the class, nothing to confirm)
    and BatchConflictError (already decided otherwise). Then nothing may be applied.
    """
    wanted = _wanted(decisions, associations, members, teacher_id)
    changes = []
    for decision in wanted.values():
        current = associations[decision.essay_id]
        if current.pending:
            changes.append(decision)
        elif not repeats(decision, current):
            raise BatchConflictError
    return changes


def _wanted(
    decisions: Sequence[HumanDecision],
    associations: Mapping[UUID, Association],
    members: AbstractSet[UUID],
    teacher_id: str,
) -> dict[UUID, Decision]:
    wanted: dict[UUID, Decision] = {}
    errors: list[FieldError] = []
    for index, decision in enumerate(decisions):
        current = associations.get(decision.essay_id)
        if current is None:
            pointer = f"/associations/{index}/essay_id"
            errors.append(FieldError(pointer, "No essay of this batch has this id."))
            continue
        target = _target(decision, current)
        if fault := _fault(decision, current, target, members):
            errors.append(FieldError(f"/associations/{index}/student_id", fault))
            continue
        status = Status.CONFIRMED if decision.confirmed else Status.REJECTED
        change = Decision(decision.essay_id, status, Method.HUMAN, target, teacher_id)
        if wanted.setdefault(decision.essay_id, change) != change:
            pointer = f"/associations/{index}/essay_id"
            errors.append(FieldError(pointer, "This essay is decided twice, in different ways."))
    if errors:
        detail = "Some decisions cannot be applied; none was."
        raise ValidationFailedError(detail, errors)
    return wanted


def _target(decision: HumanDecision, current: Association) -> UUID | None:
    if decision.confirmed:
        return decision.student_id or current.suggested_student_id
    return decision.student_id


def _fault(
    decision: HumanDecision,
    current: Association,
    target: UUID | None,
    members: AbstractSet[UUID],
) -> str | None:
    if target is None:
        return "No student was suggested: name one to confirm." if decision.confirmed else None
    decided_so = not current.pending and target == current.student_id
    if target not in members and not decided_so:
        return OUTSIDE_CLASS
    return None


def repeats(decision: Decision, current: Association) -> bool:
    """Whether a decision says no more than the one that stands, the clock's too."""
    if decision.student_id != current.student_id:
        return False
    if decision.status is Status.CONFIRMED:
        return current.status in _KEPT
    return current.status is decision.status


def totals(associations: Sequence[Association]) -> BatchTotals:
    """Count a batch's associations by their state."""
    rejected = sum(a.status is Status.REJECTED for a in associations)
    pending = sum(a.pending for a in associations)
    return BatchTotals(len(associations) - rejected - pending, rejected, pending)
