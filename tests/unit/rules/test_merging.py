"""Two students become one: what stays, what moves, what is told."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import topics
from rules.errors import PlaceholderError, ValidationFailedError
from rules.history import Entity
from rules.merging import merge, moved, moved_suggestions, require_two, tell_moved
from rules.models import Association, Status, StudentRecord, Suggestion
from tests.unit.rules.strategies import (
    CLASSES,
    NOW,
    STUDENTS,
    TEACHER,
    association,
    data,
    person,
    suggestions,
)

GONE, INTO, OTHER = STUDENTS[:3]


def student(
    student_id: UUID, email: str | None = None, *class_ids: UUID, placeholder: bool = False
) -> StudentRecord:
    name = person(f"First{student_id.int}")
    return StudentRecord(
        student_id, TEACHER.user_id, name, email, class_ids, 3, NOW, NOW, placeholder
    )


@pytest.mark.parametrize(
    ("gone", "into", "becomes"),
    [
        (None, None, None),
        ("a@b.se", None, "a@b.se"),
        (None, "c@d.se", "c@d.se"),
        ("a@b.se", "c@d.se", "c@d.se"),
    ],
)
def test_the_address_is_taken_where_there_is_none(
    gone: str | None, into: str | None, becomes: str | None
) -> None:
    plan = merge(student(GONE, gone), student(INTO, into))
    assert plan.diff.record.email == becomes
    assert plan.diff.record.name == student(INTO).name


def test_enrolments_unite() -> None:
    a, b, c = CLASSES
    plan = merge(student(GONE, None, a, b), student(INTO, None, b, c))
    assert (plan.diff.joins, plan.diff.leaves) == ((a,), ())
    assert plan.diff.record.class_ids == (a, b, c)


def test_no_limit_refuses_what_is_there_already() -> None:
    many = [UUID(int=10_000 + n) for n in range(400)]
    plan = merge(student(GONE, None, *many[:200]), student(INTO, None, *many[200:]))
    assert len(plan.diff.record.class_ids) == 400


def test_a_student_does_not_merge_with_itself() -> None:
    require_two(GONE, INTO)
    with pytest.raises(ValidationFailedError) as refusal:
        require_two(GONE, GONE)
    assert [fault.pointer for fault in refusal.value.errors] == ["/into"]


@pytest.mark.parametrize("first", [True, False])
def test_the_unknown_student_is_left_alone(*, first: bool) -> None:
    with pytest.raises(PlaceholderError):
        merge(student(GONE, placeholder=first), student(INTO, placeholder=not first))


SUGGESTED = association()
CONFIRMED = association(status=Status.CONFIRMED, student=GONE)
GIVEN = association(status=Status.CONFIRMED, suggested=OTHER, student=GONE)
TAKEN = association(status=Status.CONFIRMED, suggested=GONE, student=OTHER)
UNTOUCHED = association(status=Status.CONFIRMED, suggested=OTHER, student=INTO)


@pytest.mark.parametrize("current", [SUGGESTED, CONFIRMED, GIVEN, TAKEN, UNTOUCHED])
def test_what_was_decided_stays(current: Association) -> None:
    after = moved(current, GONE, INTO)
    assert GONE not in (after.suggested_student_id, after.student_id)
    back = replace(
        after,
        suggested_student_id=current.suggested_student_id,
        student_id=current.student_id,
    )
    assert back == current


@pytest.mark.parametrize(
    ("current", "events", "changes"),
    [(SUGGESTED, 0, 1), (CONFIRMED, 1, 1), (GIVEN, 1, 1), (TAKEN, 0, 1), (UNTOUCHED, 0, 0)],
)
def test_only_the_essays_that_it_had_are_told(
    current: Association, events: int, changes: int
) -> None:
    plan = merge(student(GONE, "a@b.se"), student(INTO))
    told = tell_moved(TEACHER, plan, plan.diff.record, current, CLASSES[0], NOW)
    assert (len(told.messages), len(told.changes)) == (events, changes)
    for message in told.messages:
        assert message.topic == topics.ASSOCIATION_UPDATED
        body = data(message)
        assert (body["student_id"], body["student_email"]) == (str(INTO), "a@b.se")
    for change in told.changes:
        assert (change.entity, change.id) == (Entity.ASSOCIATION, current.essay_id)
        assert change.class_id == CLASSES[0]


@given(st.lists(suggestions, max_size=8))
def test_suggestions_keep_their_order_and_name_a_student_once(given_: list[Suggestion]) -> None:
    after = moved_suggestions(given_, GONE, INTO)
    if GONE not in [one.student_id for one in given_]:
        assert after == given_
        return
    named = [one.student_id for one in after]
    assert len(named) == len(set(named))
    assert GONE not in named
    wanted = [INTO if one.student_id == GONE else one.student_id for one in given_]
    assert named == list(dict.fromkeys(wanted))
    for one in after:
        first = given_[wanted.index(one.student_id)]
        assert (one.confidence, one.match_reasons) == (first.confidence, first.match_reasons)
