"""Corrections: the last acknowledged one stands, each was asked for, and each has its event."""

from collections.abc import Iterator, Sequence

from faults.checker.decisions import listed
from faults.checker.findings import Finding, Kind
from faults.checker.index import CONFIRM, CORRECT, Index, grouped
from faults.checker.messages import ended_before
from faults.history import Op, Outcome
from faults.world import DecisionRow, EssayRow, Message
from rules import topics

KEPT = frozenset({"confirmed", "timeout_confirmed"})


def check(index: Index) -> Iterator[Finding]:
    """Compare the corrections with the essays, their history and the events."""
    asked = grouped((op.body["essay_id"], op) for op in index.history.ops if op.kind == CORRECT)
    told = grouped(
        (str(event.data["essay_id"]), event)
        for event in index.world.events(topics.ASSOCIATION_UPDATED)
        if _is_correction(index, event)
    )
    for essay_id, ops in asked.items():
        for op in ops:
            yield from _refused(index, op)
        if essay_id in index.world.essays:
            yield from _stands(index, index.world.essays[essay_id], ops)
    for essay in index.world.essays.values():
        ops, events = asked.get(essay.essay_id, []), told.pop(essay.essay_id, [])
        yield from _each(index, essay, ops, events)
    for essay_id in told:
        yield Finding(Kind.UNASKED, f"a correction of {essay_id}, which is no essay, is told")


def _is_correction(index: Index, event: Message) -> bool:
    """Whether an event tells of a correction, and not of a student who was merged."""
    op = index.ops.get(event.correlation_id)
    return op is None or op.kind == CORRECT


def _stands(index: Index, essay: EssayRow, ops: Sequence[Op]) -> Iterator[Finding]:
    """Check that an essay is as one of the corrections says that none surely came after."""
    done = [op for op in ops if index.was_done(op)]
    last = [op for op in done if not any(ended_before(index, op, other) for other in done)]
    if done and not any(_is_as_corrected(index, op, essay) for op in last):
        what = f"essay {essay.essay_id} is {essay.student_id}'s, corrected by {last[-1].id}"
        yield Finding(Kind.LOST, what, last[-1].began)


def _is_as_corrected(index: Index, op: Op, row: EssayRow | DecisionRow) -> bool:
    student = op.body["student_id"]
    is_kept = row.status in KEPT
    return is_kept == (student is not None) and index.is_same(student, row.student_id)


def _each(
    index: Index, essay: EssayRow, ops: Sequence[Op], events: Sequence[Message]
) -> Iterator[Finding]:
    """Check each decision after the first, and each event."""
    corrections = index.world.decisions(essay)[1:]
    what = f"essay {essay.essay_id} was corrected {len(corrections)} times"
    if len(corrections) != len(events):
        kind = Kind.LOST if len(corrections) > len(events) else Kind.DOUBLED
        yield Finding(kind, f"{what}, told {len(events)} times")
    for decision in corrections:
        if not any(_has_made(index, op, decision) for op in ops):
            yield Finding(Kind.UNASKED, f"{what}, once by nobody who asked")
    if len({index.origin(event) for event in events}) != len(events):
        yield Finding(Kind.DOUBLED, f"{what}, one of these is told twice")
    for event in events:
        op = index.ops.get(event.correlation_id)
        if op is None or op.body["essay_id"] != essay.essay_id:
            yield Finding(Kind.UNASKED, f"{what}: nobody asked for {event.event_id}")
        elif (event.data["student_id"], event.data["created_by_user_id"], event.text_key) != (
            op.body["student_id"],
            op.user,
            op.target,
        ):
            yield Finding(Kind.ALTERED, f"{what}: {op.id} is told otherwise", op.began)


def _has_made(index: Index, op: Op, decision: DecisionRow) -> bool:
    is_right = op.user == decision.validated_by and _is_as_corrected(index, op, decision)
    return is_right and index.was_done(op)


def _refused(index: Index, op: Op) -> Iterator[Finding]:
    """Find refusals over HTTP without a reason."""
    if op.outcome is not Outcome.REFUSED or op.status is None:
        return
    student = op.body["student_id"]
    match op.status:
        case 404:
            has_reason = index.class_of_batch.get(str(op.target)) in index.deleted_classes
        case 409:
            has_reason = not _was_decided(index, op)
        case 400:
            has_reason = student is not None and student not in index.lasting_students
        case _:
            has_reason = False
    if not has_reason:
        what = f"{op.kind} {op.id} of {op.target} was refused with {op.status}: {op.answer}"
        yield Finding(Kind.BROKEN, what, op.began)


def _was_decided(index: Index, op: Op) -> bool:
    """Whether an essay is known to have been decided before its correction was asked for."""
    return any(
        other.kind == CONFIRM
        and other.outcome is Outcome.ACKED
        and other.ended is not None
        and other.ended < op.began
        and any(one["essay_id"] == op.body["essay_id"] for one in listed(other))
        for other in index.ops_of_target.get(str(op.target), ())
    )
