"""What a teacher decides (docs/contract.md, section 2, "Batches and student associations")."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from rules.errors import BatchConflictError, FieldError, ValidationFailedError
from rules.models import Association, BatchTotals, Decision, HumanDecision, Method, Status

OUTSIDE_CLASS: Final = "This student is not in the batch's class."

_KEPT = frozenset({Status.CONFIRMED, Status.TIMEOUT_CONFIRMED})
_BY_WHOM: Final = {
    Method.HUMAN: "by a person",
    Method.TIMEOUT: "by the clock",
    Method.AUTO: "automatically",
}


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What a store knows of a batch, under its lock.

    `associations` are the batch's by essay, `members` the students of its class, `unknown` the
    class's UNKNOWN student if there is one.
    """

    batch_id: UUID
    associations: Mapping[UUID, Association]
    members: AbstractSet[UUID]
    unknown: UUID | None = None


def decide(
    decisions: Sequence[HumanDecision],
    facts: DecisionFacts,
    teacher_id: str,
    min_confidence: float | None = None,
) -> list[Decision]:
    """Return what to change for a teacher's decisions; repeated ones change nothing.

    Then every suggestion that is still pending is confirmed, if its confidence is at least
    `min_confidence`. What is confirmed for nobody is for the UNKNOWN student: `with_unknown`.

    Raises ValidationFailedError (unknown essay, student outside the class) and BatchConflictError
    (already decided otherwise). Then nothing may be applied.
    """
    wanted = _wanted(decisions, facts, teacher_id)
    changes = []
    for decision in wanted.values():
        current = facts.associations[decision.essay_id]
        if current.pending:
            changes.append(decision)
        elif not repeats(decision, current):
            raise _conflict(current, facts.batch_id)
    if min_confidence is not None:
        changes += _suggested(facts, wanted.keys(), teacher_id, min_confidence)
    return changes


def may_need_unknown(
    decisions: Sequence[HumanDecision], associations: Mapping[UUID, Association]
) -> bool:
    """Whether some decision may mean the class's UNKNOWN student."""
    nobody = {a.essay_id for a in associations.values() if a.suggested_student_id is None}
    return any(d.confirmed and d.student_id is None and d.essay_id in nobody for d in decisions)


def for_unknown(decision: Decision) -> bool:
    """Whether this is for the UNKNOWN student, who does not exist yet."""
    return decision.status is Status.CONFIRMED and decision.student_id is None


def with_unknown(changes: Sequence[Decision], unknown: UUID) -> list[Decision]:
    """Return the changes, with the UNKNOWN student where it is meant."""
    return [replace(c, student_id=unknown) if for_unknown(c) else c for c in changes]


def _suggested(
    facts: DecisionFacts, named: AbstractSet[UUID], teacher_id: str, min_confidence: float
) -> Iterator[Decision]:
    for a in facts.associations.values():
        # A member: older versions left a suggestion in place when its student left the class.
        qualifies = a.suggested_student_id in facts.members and a.confidence >= min_confidence
        if a.pending and qualifies and a.essay_id not in named:
            student_id = a.suggested_student_id
            yield Decision(a.essay_id, Status.CONFIRMED, Method.HUMAN, student_id, teacher_id)


def _wanted(
    decisions: Sequence[HumanDecision], facts: DecisionFacts, teacher_id: str
) -> dict[UUID, Decision]:
    wanted: dict[UUID, Decision] = {}
    errors: list[FieldError] = []
    for index, decision in enumerate(decisions):
        current = facts.associations.get(decision.essay_id)
        if current is None:
            pointer = f"/associations/{index}/essay_id"
            errors.append(FieldError(pointer, "No essay of this batch has this id."))
            continue
        target = _target(decision, current, facts)
        if fault := _fault(index, decision, current, target, facts):
            errors.append(fault)
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


def _target(decision: HumanDecision, current: Association, facts: DecisionFacts) -> UUID | None:
    if decision.student_id is not None or not decision.confirmed:
        return decision.student_id
    # Who was decided for has been deleted since: nobody is left to contradict.
    gone = not current.pending and current.student_id is None
    return current.suggested_student_id or (None if gone else facts.unknown)


def _fault(
    index: int,
    decision: HumanDecision,
    current: Association,
    target: UUID | None,
    facts: DecisionFacts,
) -> FieldError | None:
    # What is decided otherwise is a conflict, which says how to correct it.
    implied = decision.student_id is None or target == current.student_id
    if target in {None, facts.unknown} or target in facts.members:
        return None
    if implied and not current.pending:
        return None
    if decision.student_id is None:
        fault = "The suggested student is not in the batch's class any more: name another."
        return FieldError(f"/associations/{index}", fault)
    return FieldError(f"/associations/{index}/student_id", OUTSIDE_CLASS)


def decided(current: Association, decision: Decision, at: datetime) -> Association:
    """Return an association as a decision leaves it."""
    return replace(
        current,
        status=decision.status,
        method=decision.method,
        student_id=decision.student_id,
        validated_by=decision.validated_by,
        validated_at=at,
    )


def repeats(decision: Decision, current: Association) -> bool:
    """Whether a decision says no more than the one that stands, the clock's too."""
    if decision.student_id != current.student_id:
        return False
    if decision.status is Status.CONFIRMED:
        return current.status in _KEPT
    return current.status is decision.status


def _conflict(current: Association, batch_id: UUID) -> BatchConflictError:
    by_whom = _BY_WHOM[current.method] if current.method else "before"
    path = f"/v1/batches/{batch_id}/student-associations/{current.essay_id}"
    return BatchConflictError(
        f"The essay {current.essay_id} was decided otherwise, {by_whom}. "
        f"PUT {path} (or the command associations.correct) corrects a decision."
    )


def totals(associations: Sequence[Association]) -> BatchTotals:
    """Count a batch's associations by their state."""
    rejected = sum(a.status is Status.REJECTED for a in associations)
    pending = sum(a.pending for a in associations)
    return BatchTotals(len(associations) - rejected - pending, rejected, pending)
