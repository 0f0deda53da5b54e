"""What a teacher decides: all or nothing, and again means nothing."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.decisions import DecisionFacts, decide, for_unknown, totals, with_unknown
from rules.errors import BatchConflictError, ValidationFailedError
from rules.models import (
    Association,
    BatchTotals,
    Decision,
    HumanDecision,
    Method,
    Status,
)
from tests.unit.rules.strategies import BATCHES, ESSAYS, NOW, STUDENTS, association

MEMBERS = frozenset(STUDENTS[:4])
OUTSIDER = STUDENTS[5]
E, (A, B, GONE) = ESSAYS[0], (STUDENTS[0], STUDENTS[1], STUDENTS[4])


def run(current: Association | Sequence[Association], *decisions: HumanDecision) -> list[Decision]:
    return run_with(current, None, *decisions)


def run_with(
    current: Association | Sequence[Association],
    unknown: UUID | None,
    *decisions: HumanDecision,
    min_confidence: float | None = None,
) -> list[Decision]:
    all_of_them = [current] if isinstance(current, Association) else current
    by_essay = {a.essay_id: a for a in all_of_them}
    facts = DecisionFacts(BATCHES[0], by_essay, MEMBERS, unknown)
    return decide(decisions, facts, "teacher-1", min_confidence)


def yes(student: UUID | None = None, essay: UUID = E) -> HumanDecision:
    return HumanDecision(essay, confirmed=True, student_id=student)


def no(student: UUID | None = None, essay: UUID = E) -> HumanDecision:
    return HumanDecision(essay, confirmed=False, student_id=student)


@pytest.mark.parametrize(
    ("suggested", "decision", "status", "student"),
    [
        (A, yes(), Status.CONFIRMED, A),
        (A, yes(A), Status.CONFIRMED, A),
        (A, yes(B), Status.CONFIRMED, B),
        (None, yes(B), Status.CONFIRMED, B),
        (A, no(), Status.REJECTED, None),
        (None, no(), Status.REJECTED, None),
        (A, no(B), Status.REJECTED, B),
        (None, no(B), Status.REJECTED, B),
    ],
)
def test_pending_essay_is_decided(
    suggested: UUID | None, decision: HumanDecision, status: Status, student: UUID | None
) -> None:
    [change] = run(association(suggested=suggested), decision)
    assert change == Decision(E, status, Method.HUMAN, student, "teacher-1")


@pytest.mark.parametrize(
    ("current", "decision"),
    [
        (association(status=Status.CONFIRMED, student=A), yes()),
        (association(status=Status.CONFIRMED, student=A), yes(A)),
        (association(status=Status.CONFIRMED, student=A, method=Method.AUTO), yes()),
        (association(status=Status.CONFIRMED, student=B), yes(B)),
        (association(status=Status.TIMEOUT_CONFIRMED, student=A), yes()),
        (association(status=Status.TIMEOUT_CONFIRMED, student=B), yes(B)),
        (association(status=Status.REJECTED), no()),
        (association(status=Status.REJECTED, student=B), no(B)),
        # Who has left the class since is still who was decided.
        (association(status=Status.CONFIRMED, suggested=GONE, student=GONE), yes()),
        (association(status=Status.REJECTED, student=GONE), no(GONE)),
    ],
)
def test_repeating_changes_nothing(current: Association, decision: HumanDecision) -> None:
    assert run(current, decision) == []


@pytest.mark.parametrize(
    ("current", "decision"),
    [
        (association(status=Status.CONFIRMED, student=A), no()),
        (association(status=Status.CONFIRMED, student=A), yes(B)),
        (association(status=Status.CONFIRMED, student=A), no(A)),
        (association(status=Status.CONFIRMED, student=B), yes()),
        (association(status=Status.REJECTED), yes()),
        (association(status=Status.REJECTED), no(B)),
        (association(status=Status.REJECTED, student=B), no()),
        (association(status=Status.REJECTED, student=B), yes(B)),
        (association(status=Status.TIMEOUT_CONFIRMED, student=A), no()),
        (association(status=Status.TIMEOUT_CONFIRMED, student=B), yes()),
    ],
)
def test_contradicting_is_a_conflict(current: Association, decision: HumanDecision) -> None:
    with pytest.raises(BatchConflictError):
        run(current, decision)


@pytest.mark.parametrize(
    ("current", "decision", "pointer"),
    [
        (association(), yes(essay=ESSAYS[5]), "/associations/0/essay_id"),
        (association(), yes(OUTSIDER), "/associations/0/student_id"),
        (association(), no(OUTSIDER), "/associations/0/student_id"),
        # Not at a student that was not sent.
        (association(suggested=OUTSIDER), yes(), "/associations/0"),
        (association(status=Status.CONFIRMED, student=A), yes(OUTSIDER), None),
    ],
)
def test_unusable_decision_is_pointed_at(
    current: Association, decision: HumanDecision, pointer: str | None
) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        run(current, decision)
    assert [e.pointer for e in refusal.value.errors] == [pointer or "/associations/0/student_id"]


def test_every_fault_is_told() -> None:
    current = [association(essay) for essay in ESSAYS[:2]]
    with pytest.raises(ValidationFailedError) as refusal:
        run(current, yes(essay=ESSAYS[5]), yes(), yes(OUTSIDER, ESSAYS[1]))
    pointers = [e.pointer for e in refusal.value.errors]
    assert pointers == ["/associations/0/essay_id", "/associations/2/student_id"]


@pytest.mark.parametrize(("second", "fits"), [(yes(), True), (yes(A), True), (no(), False)])
def test_essay_may_be_named_twice_in_one_way_only(second: HumanDecision, *, fits: bool) -> None:
    if fits:
        assert len(run(association(), yes(), second)) == 1
        return
    with pytest.raises(ValidationFailedError) as refusal:
        run(association(), yes(), second)
    assert [e.pointer for e in refusal.value.errors] == ["/associations/1/essay_id"]


# --- for nobody, and by confidence -----------------------------------------------------------

U = UUID(int=999)
NOBODY = association(suggested=None)


@pytest.mark.parametrize("unknown", [None, U])
def test_confirmed_for_nobody_means_unknown(unknown: UUID | None) -> None:
    [change] = run_with(NOBODY, unknown, yes())
    assert for_unknown(change) is (unknown is None)
    assert with_unknown([change], U) == [
        Decision(E, Status.CONFIRMED, Method.HUMAN, U, "teacher-1")
    ]
    rejected = run_with(NOBODY, unknown, no())
    assert with_unknown(rejected, U) == rejected


def test_a_suggestion_is_meant_before_unknown_however_unlikely() -> None:
    [change] = run_with(association(confidence=0.01), U, yes())
    assert change.student_id == A


@pytest.mark.parametrize(
    ("current", "unknown"),
    [
        (association(status=Status.CONFIRMED, suggested=None, student=U), U),
        (association(status=Status.TIMEOUT_CONFIRMED, suggested=None, student=U), U),
        # Whoever was decided for has been deleted since.
        (association(status=Status.CONFIRMED, suggested=None), None),
        (association(status=Status.CONFIRMED, suggested=None), U),
    ],
)
def test_confirming_for_nobody_again_changes_nothing(
    current: Association, unknown: UUID | None
) -> None:
    assert run_with(current, unknown, yes()) == []


@pytest.mark.parametrize(
    "current",
    [
        association(status=Status.CONFIRMED, suggested=None, student=A),
        association(status=Status.REJECTED, suggested=None),
        # The clock sent it to UNKNOWN; the suggestion is meant.
        association(status=Status.TIMEOUT_CONFIRMED, student=U, confidence=0.5),
    ],
)
@pytest.mark.parametrize("unknown", [None, U])
def test_confirming_for_nobody_what_is_decided_otherwise_is_a_conflict(
    current: Association, unknown: UUID | None
) -> None:
    with pytest.raises(BatchConflictError):
        run_with(current, unknown, yes())


@pytest.mark.parametrize(
    ("method", "by_whom"),
    [
        (Method.HUMAN, "by a person"),
        (Method.TIMEOUT, "by the clock"),
        (Method.AUTO, "automatically"),
    ],
)
def test_a_conflict_says_who_decided_and_what_corrects_it(method: Method, by_whom: str) -> None:
    current = association(status=Status.CONFIRMED, student=A, method=method)
    with pytest.raises(BatchConflictError) as refusal:
        run(current, no())
    assert f"essay {E} was decided otherwise, {by_whom}." in refusal.value.detail
    assert f"/v1/batches/{BATCHES[0]}/student-associations/{E} " in refusal.value.detail
    assert "somebody" not in refusal.value.detail


def test_suggestions_are_confirmed_from_a_confidence_on() -> None:
    current = [
        association(ESSAYS[0], confidence=0.8),
        association(ESSAYS[1], confidence=0.7999),
        association(ESSAYS[2], suggested=None),
        association(ESSAYS[3], confidence=1.0, suggested=OUTSIDER),
        association(ESSAYS[4], Status.REJECTED, confidence=1.0),
        association(ESSAYS[5], confidence=0.9),
    ]
    changes = run_with(current, None, no(essay=ESSAYS[5]), min_confidence=0.8)
    assert [(c.essay_id, c.status, c.student_id) for c in changes] == [
        (ESSAYS[5], Status.REJECTED, None),  # what is listed goes first
        (ESSAYS[0], Status.CONFIRMED, A),
    ]
    assert run_with(current, None, min_confidence=1.0) == []


def test_nothing_decided_is_nothing_changed() -> None:
    assert run(association()) == []


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], BatchTotals(0, 0, 0)),
        ([Status.PENDING], BatchTotals(0, 0, 1)),
        ([Status.CONFIRMED, Status.TIMEOUT_CONFIRMED], BatchTotals(2, 0, 0)),
        ([*Status, Status.REJECTED], BatchTotals(2, 2, 1)),
    ],
)
def test_totals(statuses: list[Status], expected: BatchTotals) -> None:
    found = [association(essay, status) for essay, status in zip(ESSAYS, statuses, strict=False)]
    assert totals(found) == expected


# --- for whatever comes ------------------------------------------------------------------------

associations = st.builds(
    lambda status, suggested, student: association(
        status=status,
        suggested=suggested,
        student=None if status is Status.PENDING else student,
    ),
    st.sampled_from(Status),
    st.none() | st.sampled_from(STUDENTS),
    st.none() | st.sampled_from(STUDENTS),
)
batches = st.lists(associations, min_size=1, max_size=5).map(
    lambda found: [replace(a, essay_id=ESSAYS[i]) for i, a in enumerate(found)]
)
decisions = st.lists(
    st.builds(
        HumanDecision,
        st.sampled_from(ESSAYS),
        st.booleans(),
        st.none() | st.sampled_from(STUDENTS),
    ),
    max_size=5,
)


def applied(current: Sequence[Association], changes: Sequence[Decision]) -> list[Association]:
    by_essay = {change.essay_id: change for change in changes}
    return [
        replace(
            a,
            status=by_essay[a.essay_id].status,
            method=by_essay[a.essay_id].method,
            student_id=by_essay[a.essay_id].student_id,
            validated_by=by_essay[a.essay_id].validated_by,
            validated_at=NOW,
        )
        if a.essay_id in by_essay
        else a
        for a in current
    ]


def changes_of(current: list[Association], wanted: list[HumanDecision]) -> list[Decision]:
    try:
        return run(current, *wanted)
    except (ValidationFailedError, BatchConflictError):
        assume(False)  # noqa: FBT003  # hypothesis has it so
        raise


@given(batches, decisions)
def test_repeating_a_request_changes_nothing(
    current: list[Association], wanted: list[HumanDecision]
) -> None:
    changes = changes_of(current, wanted)
    assert run(applied(current, changes), *wanted) == []


@given(batches, decisions)
def test_only_what_is_pending_is_changed_each_essay_once(
    current: list[Association], wanted: list[HumanDecision]
) -> None:
    changes = changes_of(current, wanted)
    changed = [change.essay_id for change in changes]
    assert len(changed) == len(set(changed))
    pending = {a.essay_id for a in current if a.pending}
    current_of = {a.essay_id: a.suggested_student_id for a in current}
    assert set(changed) == pending & {decision.essay_id for decision in wanted}
    assert all(c.student_id is None or c.student_id in MEMBERS for c in changes)
    assert all(current_of[c.essay_id] is None for c in changes if for_unknown(c))


@given(batches, decisions)
def test_opposite_of_a_decision_is_a_conflict(
    current: list[Association], wanted: list[HumanDecision]
) -> None:
    changes = changes_of(current, wanted)
    done = applied(current, changes)
    for change in changes:
        opposite = HumanDecision(
            change.essay_id,
            confirmed=change.status is Status.REJECTED,
            student_id=change.student_id or A,
        )
        with pytest.raises(BatchConflictError):
            run(done, opposite)


@given(batches, decisions)
def test_totals_add_up(current: list[Association], wanted: list[HumanDecision]) -> None:
    done = applied(current, changes_of(current, wanted))
    counted = totals(done)
    assert counted.confirmed + counted.rejected + counted.pending == len(current)
