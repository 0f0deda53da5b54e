"""A decision that is changed: who may be named, what is the same, what is kept of the former."""

from uuid import UUID

import pytest

from rules.corrections import correct, decision_of
from rules.decisions import decided
from rules.errors import BatchConflictError, ValidationFailedError
from rules.models import Association, Decision, Method, PastDecision, Status
from tests.unit.rules.strategies import DAY, ESSAYS, NOW, STUDENTS, association

E, (A, B) = ESSAYS[0], STUDENTS[:2]
CONFIRMED = association(status=Status.CONFIRMED, student=A)
AUTO = association(status=Status.CONFIRMED, student=A, method=Method.AUTO)
REJECTED = association(status=Status.REJECTED)
#: Rejected, and another student named.
REPLACED = association(status=Status.REJECTED, student=B)
BY_CLOCK = association(status=Status.TIMEOUT_CONFIRMED, student=A)
#: Its student was deleted.
LOST = association(status=Status.CONFIRMED)


def run(
    current: Association, student_id: UUID | None, *, is_member: bool = True
) -> Decision | None:
    return correct(current, student_id, "teacher-1", is_member=is_member)


@pytest.mark.parametrize(
    ("current", "student", "status"),
    [
        (CONFIRMED, B, Status.CONFIRMED),
        (CONFIRMED, None, Status.REJECTED),
        (AUTO, B, Status.CONFIRMED),
        (AUTO, None, Status.REJECTED),
        (REJECTED, A, Status.CONFIRMED),
        (REPLACED, B, Status.CONFIRMED),
        (REPLACED, None, Status.REJECTED),
        (BY_CLOCK, B, Status.CONFIRMED),
        (BY_CLOCK, None, Status.REJECTED),
        (LOST, None, Status.REJECTED),
        (LOST, A, Status.CONFIRMED),
    ],
)
def test_decided_essay_gets_another_decision(
    current: Association, student: UUID | None, status: Status
) -> None:
    assert run(current, student) == Decision(E, status, Method.HUMAN, student, "teacher-1")


@pytest.mark.parametrize(
    ("current", "student"),
    [(CONFIRMED, A), (AUTO, A), (BY_CLOCK, A), (REJECTED, None)],
)
def test_the_same_again_changes_nothing(current: Association, student: UUID | None) -> None:
    assert run(current, student) is None
    # Who has left the class since is still who was decided.
    assert run(current, student, is_member=False) is None


@pytest.mark.parametrize("student", [A, None])
def test_pending_essay_is_to_be_confirmed(student: UUID | None) -> None:
    with pytest.raises(BatchConflictError) as refusal:
        run(association(), student)
    assert "confirm it" in refusal.value.detail


def test_student_outside_the_class_is_pointed_at() -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        run(CONFIRMED, B, is_member=False)
    assert [fault.pointer for fault in refusal.value.errors] == ["/student_id"]


def test_confidence_and_suggestion_stay() -> None:
    decision = run(BY_CLOCK, B)
    assert decision is not None
    after = decided(BY_CLOCK, decision, NOW + DAY)
    assert (after.confidence, after.suggested_student_id) == (BY_CLOCK.confidence, A)
    assert after.match_reasons == BY_CLOCK.match_reasons
    former, now = decision_of(BY_CLOCK), decision_of(after)
    assert former == PastDecision(NOW, "somebody", Method.TIMEOUT, A, Status.TIMEOUT_CONFIRMED)
    assert now == PastDecision(NOW + DAY, "teacher-1", Method.HUMAN, B, Status.CONFIRMED)
    assert decision_of(association()) is None
