"""What the clock decides, at its instant and at its threshold."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.emails import domain_of, is_own
from rules.models import SYSTEM_TIMEOUT, Decision, Method, Status
from rules.timeouts import (
    UNKNOWN_NAME,
    ClockVerdict,
    decide,
    due,
    first_batches,
    open_until,
    unknown_student_email,
)
from tests.unit.rules.strategies import CLASSES, ESSAYS, NOW, STUDENTS, association, confidences

TICK = timedelta(microseconds=1)
A, UNKNOWN = STUDENTS[:2]


@pytest.mark.parametrize(("offset", "is_due"), [(-TICK, True), (timedelta(0), True), (TICK, False)])
def test_essay_is_due_from_its_instant_on(offset: timedelta, *, is_due: bool) -> None:
    assert bool(due([association(confirm_by=NOW + offset)], NOW, 0.7)) is is_due


@pytest.mark.parametrize(
    ("confidence", "threshold", "kept"),
    [
        (0.70, 0.7, True),
        (0.69, 0.7, False),
        (0.6999999999999999, 0.7, False),
        (1.0, 1.0, True),
        (0.0, 0.0, True),
        (0.97, 0.7, True),
    ],
)
def test_threshold_is_inclusive(confidence: float, threshold: float, *, kept: bool) -> None:
    pending = association(confidence=confidence, confirm_by=NOW)
    assert due([pending], NOW, threshold) == [ClockVerdict(ESSAYS[0], A if kept else None)]


def test_nobody_is_kept_where_nobody_was_suggested() -> None:
    pending = association(suggested=None, confirm_by=NOW)
    assert due([pending], NOW, 0.0) == [ClockVerdict(ESSAYS[0], None)]


def test_essay_for_which_unknown_was_suggested_goes_to_unknown() -> None:
    pending = association(suggested=UNKNOWN, confidence=1.0, confirm_by=NOW)
    assert due([pending], NOW, 0.7, UNKNOWN) == [ClockVerdict(ESSAYS[0], None)]


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.PENDING])
def test_what_was_decided_is_never_due(status: Status) -> None:
    assert due([association(status=status, student=A, confirm_by=NOW)], NOW, 0.7) == []


@given(confidences, confidences)
def test_kept_exactly_from_the_threshold_on(confidence: float, threshold: float) -> None:
    [verdict] = due([association(confidence=confidence, confirm_by=NOW)], NOW, threshold)
    assert (verdict.keeps is not None) == (confidence >= threshold)


@given(st.lists(st.integers(-3, 3), max_size=6), st.integers(-3, 3))
def test_exactly_what_has_come_is_due(offsets: list[int], now: int) -> None:
    pending = [
        association(ESSAYS[i], confirm_by=NOW + offset * TICK) for i, offset in enumerate(offsets)
    ]
    verdicts = due(pending, NOW + now * TICK, 0.7)
    expected = [ESSAYS[i] for i, offset in enumerate(offsets) if offset <= now]
    assert [verdict.essay_id for verdict in verdicts] == expected


@pytest.mark.parametrize(("keeps", "student"), [(A, A), (None, UNKNOWN)])
def test_verdict_becomes_a_decision(keeps: UUID | None, student: UUID) -> None:
    assert decide(ClockVerdict(ESSAYS[0], keeps), UNKNOWN) == Decision(
        ESSAYS[0], Status.TIMEOUT_CONFIRMED, Method.TIMEOUT, student, SYSTEM_TIMEOUT
    )


def test_unknown_student_is_not_needed_where_somebody_is_kept() -> None:
    assert decide(ClockVerdict(ESSAYS[0], A), None).student_id == A


def test_unknown_student_is_needed_where_nobody_is_kept() -> None:
    with pytest.raises(ValueError, match="UNKNOWN"):
        decide(ClockVerdict(ESSAYS[0], None), None)


@pytest.mark.parametrize(
    ("essays", "most", "batches"),
    [
        ([], 10, 0),
        ([0, 0], 10, 2),
        ([4, 6, 1], 10, 2),
        ([4, 6, 0], 10, 3),
        ([4, 7], 10, 1),
        ([11, 1], 10, 1),
        ([0, 11], 10, 1),
        ([1, 11, 1], 10, 1),
        ([1, 1], 1, 1),
        ([5], 0, 1),
    ],
)
def test_a_transaction_takes_batches_up_to_its_bound_and_a_large_one_alone(
    essays: list[int], most: int, batches: int
) -> None:
    assert first_batches(essays, most) == batches


@given(st.lists(st.integers(0, 20)), st.integers(0, 50))
def test_batches_taken_are_within_the_bound_and_as_many_as_go(essays: list[int], most: int) -> None:
    taken = first_batches(iter(essays), most)
    assert (taken > 0) is bool(essays)
    assert taken == 1 or sum(essays[:taken]) <= most
    assert taken == len(essays) or sum(essays[: taken + 1]) > most


def test_unknown_student_is_called_as_the_contract_says() -> None:
    name = UNKNOWN_NAME
    assert (name.first_name, name.last_name) == ("UNKNOWN", "STUDENT")
    assert name.legal_full_name == "UNKNOWN STUDENT"
    expected = "unknown.00000000-0000-0000-0000-000000000064@huleedu.system"
    assert unknown_student_email(CLASSES[0]) == expected


def test_unknown_students_email_is_an_address_that_belongs_to_the_service() -> None:
    domain = domain_of(unknown_student_email(CLASSES[0]))
    assert domain is not None
    assert is_own(domain)


@pytest.mark.parametrize(
    ("pending", "decided", "expected"),
    [([], [], None), ([2, 1], [], 1), ([2], [1, 3], 2), ([], [1, 3, 2], 3)],
)
def test_batch_is_open_until_the_soonest_pending_deadline_or_the_last(
    pending: list[int], decided: list[int], expected: int | None
) -> None:
    found = [association(confirm_by=NOW + hours * TICK) for hours in pending]
    found += [association(status=Status.REJECTED, confirm_by=NOW + h * TICK) for h in decided]
    assert open_until(found) == (None if expected is None else NOW + expected * TICK)
    assert open_until(iter(found)) == open_until(found)
