"""Decisions: acknowledged ones hold until they are corrected, and there are no others."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from faults.checker.findings import Finding, Kind
from faults.checker.index import CONFIRM, Index, grouped
from faults.history import Op, Outcome
from faults.world import DecisionRow, EssayRow

HUMAN = "human"
BY_CLOCK = "timeout"
#: How far the harness's clock may drift from PostgreSQL's in more than an hour.
CLOCKS_APART = timedelta(seconds=5)


def check(index: Index) -> Iterator[Finding]:
    """Compare the decisions of teachers with the essays; `corrections` checks what came later."""
    for op in index.history.ops:
        if op.kind == CONFIRM:
            yield from _refused(index, op)
            if index.was_done(op):
                yield from _holds(index, op)
    asked = _asked(index)
    for essay in index.world.essays.values():
        first = next(iter(index.world.decisions(essay)), None)
        if first and first.method == HUMAN and not _was_asked(index, essay, first, asked):
            yield Finding(Kind.UNASKED, f"essay {essay.essay_id} was decided by nobody who asked")


def listed(op: Op) -> Sequence[Mapping[str, Any]]:
    """Return the decisions that a request lists."""
    found: Sequence[Mapping[str, Any]] = op.body.get("associations", ())
    return found


def _asked(index: Index) -> Mapping[str, Sequence[Op]]:
    """Return the requests that have decided something first, by essay, batch or class."""
    ops = [op for op in index.history.ops if index.was_done(op)]
    by_essay = [(d["essay_id"], op) for op in ops if op.kind == CONFIRM for d in listed(op)]
    by_batch = [(op.target, op) for op in ops if "confirm_suggested" in op.body]
    by_class = [(op.target, op) for op in ops if op.kind == "class.delete"]
    return grouped((str(what), op) for what, op in [*by_essay, *by_batch, *by_class])


def _was_asked(
    index: Index, essay: EssayRow, decision: DecisionRow, asked: Mapping[str, Sequence[Op]]
) -> bool:
    """Whether the user who decided an essay has asked for it, or has deleted its class."""
    class_id = index.class_of_batch.get(essay.batch_id, "")
    confirmed = decision.status == "confirmed"
    rejected_for_nobody = decision.status == "rejected" and decision.student_id is None
    ops = [
        *asked.get(essay.essay_id, ()),
        *(asked.get(essay.batch_id, ()) if confirmed else ()),
        *(asked.get(class_id, ()) if rejected_for_nobody else ()),
    ]
    return any(op.user == decision.validated_by for op in ops)


def _essays(index: Index, op: Op) -> list[EssayRow]:
    """Return the essays of a request that exist."""
    ids = [one["essay_id"] for one in listed(op)]
    return [index.world.essays[i] for i in ids if i in index.world.essays]


# --- what was done -----------------------------------------------------------------------------


def _holds(index: Index, op: Op) -> Iterator[Finding]:
    for decision in listed(op):
        essay = index.world.essays.get(decision["essay_id"])
        if essay is None:
            yield Finding(Kind.LOST, f"essay {decision['essay_id']}, which was decided", op.began)
            continue
        rows = index.world.decisions(essay)
        if not any(_is_as_decided(index, op, decision, row) for row in rows):
            what = f"essay {essay.essay_id} is {essay.status}, decided as {decision}"
            yield Finding(Kind.LOST, what, op.began)


def _is_as_decided(index: Index, op: Op, decision: Mapping[str, Any], row: DecisionRow) -> bool:
    """Whether an essay was as a teacher decided, or the clock decided the same before."""
    status = "confirmed" if decision["confirmed"] else "rejected"
    if row.method == HUMAN:
        is_right = row.status == status and row.validated_by == op.user
    else:
        came_first = row.method == BY_CLOCK and _before(index, op, row.validated_at)
        is_right = decision["confirmed"] and came_first
    wanted = decision.get("student_id")
    return is_right and (not wanted or index.is_same(wanted, row.student_id))


def _before(index: Index, op: Op, at: datetime) -> bool:
    """Whether a decision may have been made before a request ended, or ever for a command."""
    return op.ended is None or at <= index.history.instant(op.ended) + CLOCKS_APART


# --- what was not ------------------------------------------------------------------------------


def _refused(index: Index, op: Op) -> Iterator[Finding]:
    """Find refusals without a reason."""
    if op.outcome is not Outcome.REFUSED or op.status is None:
        return
    match op.status:
        case 404:
            has_reason = index.class_of_batch.get(str(op.target)) in index.deleted_classes
        case 409:
            has_reason = any(_is_decided_by_another(index, one) for one in _essays(index, op))
        case 400:
            has_reason = not _named(op) <= index.lasting_students.keys()
        case _:
            has_reason = False
    if not has_reason:
        what = f"{op.kind} {op.id} of {op.target} was refused with {op.status}: {op.answer}"
        yield Finding(Kind.BROKEN, what, op.began)


def _is_decided_by_another(index: Index, essay: EssayRow) -> bool:
    """Whether the clock has decided an essay, or a correction."""
    rows = index.world.decisions(essay)
    return len(rows) > 1 or any(row.method == BY_CLOCK for row in rows)


def _named(op: Op) -> set[str]:
    """Return the students that a request names."""
    return {one["student_id"] for one in listed(op) if one.get("student_id")}
