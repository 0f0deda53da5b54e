"""Decisions: acknowledged ones hold, and there are no others."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from faults.checker.findings import Finding, Kind
from faults.checker.index import CONFIRM, Index, grouped
from faults.history import Op, Outcome
from faults.world import EssayRow

HUMAN = "human"
BY_CLOCK = "timeout"
#: How far the harness's clock may drift from PostgreSQL's in more than an hour.
CLOCKS_APART = timedelta(seconds=5)


def check(index: Index) -> Iterator[Finding]:
    """Compare the decisions of teachers with the essays."""
    ops = [op for op in index.history.ops if op.kind == CONFIRM]
    for op in ops:
        yield from _refused(index, op)
        yield from _in_part(index, op)
        if index.was_done(op):
            yield from _holds(index, op)
    asked = grouped((one["essay_id"], op) for op in ops for one in op.body["associations"])
    for essay in index.world.essays.values():
        if essay.method == HUMAN and not _was_asked(index, essay, asked.get(essay.essay_id, ())):
            yield Finding(Kind.UNASKED, f"essay {essay.essay_id} was decided by nobody who asked")


def _was_asked(index: Index, essay: EssayRow, ops: Sequence[Op]) -> bool:
    """Whether one of these may have decided the essay."""
    return any(op.user == essay.validated_by and index.may_be_done(op) for op in ops)


def _essays(index: Index, op: Op) -> list[EssayRow]:
    """Return the essays of a request that exist."""
    ids = [one["essay_id"] for one in op.body["associations"]]
    return [index.world.essays[i] for i in ids if i in index.world.essays]


# --- what was done -----------------------------------------------------------------------------


def _holds(index: Index, op: Op) -> Iterator[Finding]:
    for decision in op.body["associations"]:
        essay = index.world.essays.get(decision["essay_id"])
        if essay is None:
            yield Finding(Kind.LOST, f"essay {decision['essay_id']}, which was decided", op.began)
        elif not _is_as_decided(index, op, decision, essay):
            what = f"essay {essay.essay_id} is {essay.status}, decided as {decision}"
            yield Finding(Kind.LOST, what, op.began)


def _is_as_decided(index: Index, op: Op, decision: Mapping[str, Any], essay: EssayRow) -> bool:
    """Whether an essay is as a teacher decided, or the clock decided the same before."""
    status = "confirmed" if decision["confirmed"] else "rejected"
    if essay.method == HUMAN:
        is_right = essay.status == status and essay.validated_by == op.user
    else:
        came_first = essay.method == BY_CLOCK and _before(index, op, essay.validated_at)
        is_right = decision["confirmed"] and came_first
    # A student deleted since then is null.
    wanted = decision.get("student_id")
    return is_right and (not wanted or essay.student_id in {wanted, None})


def _before(index: Index, op: Op, at: datetime | None) -> bool:
    """Whether a decision may have been made before a request ended, or ever for a command."""
    if at is None:
        return False
    return op.ended is None or at <= index.history.instant(op.ended) + CLOCKS_APART


# --- what was not ------------------------------------------------------------------------------


def _in_part(index: Index, op: Op) -> Iterator[Finding]:
    """Find requests with an unknown outcome that were done in part."""
    if op.outcome is not Outcome.UNKNOWN or op.over_kafka:
        return
    there = _essays(index, op)
    at = min((e.validated_at for e in there if e.method == HUMAN and e.validated_at), default=None)
    # With several deadlines, the clock may have decided in between.
    due = {e.confirm_by for e in there if e.method == HUMAN}
    others = [e for e in there if e.method != HUMAN and e.confirm_by in due]
    later = [e for e in others if at and (e.validated_at or at) >= at]
    if later:
        what = f"{op.kind} {op.id}: {len(later)} of {len(there)} essays were left out"
        yield Finding(Kind.ALTERED, what, op.began)


def _refused(index: Index, op: Op) -> Iterator[Finding]:
    """Find refusals without a reason."""
    if op.outcome is not Outcome.REFUSED or op.status is None:
        return
    match op.status:
        case 404:
            has_reason = index.class_of_batch.get(str(op.target)) in index.asked_classes
        case 409:
            has_reason = any(essay.method == BY_CLOCK for essay in _essays(index, op))
        case 400:
            has_reason = not _students(index, op) <= index.lasting_students.keys()
        case _:
            has_reason = False
    if not has_reason:
        what = f"{op.kind} {op.id} of {op.target} was refused with {op.status}: {op.answer}"
        yield Finding(Kind.BROKEN, what, op.began)


def _students(index: Index, op: Op) -> set[str]:
    """Return the students that a request names, or that were suggested."""
    ids = [one["essay_id"] for one in op.body["associations"]]
    named = {one["student_id"] for one in op.body["associations"] if "student_id" in one}
    proposed = (index.proposed[i].student_id for i in ids if i in index.proposed)
    return named | {student for student in proposed if student}
