"""The first suggested student of the class is taken."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.matching import MAX_REASON, MAX_REASONS, MAX_SUGGESTIONS, choose, cut, usable
from rules.models import MatchResult, Suggestion
from tests.unit.rules.strategies import ESSAYS, STUDENTS, match_results, result

A, B, C = STUDENTS[:3]


@pytest.mark.parametrize(
    ("suggested", "members", "existing", "taken", "awaits"),
    [
        ([], [A], [A], None, False),
        ([A], [A], [A], 0, False),
        ([A, B], [A, B], [A, B], 0, False),
        ([A, B], [B], [A, B], 1, False),
        ([A, B], [B], [B], 1, True),
        ([A, B], [A], [A], 0, False),
        ([A], [], [A], None, False),
        ([A], [], [], None, True),
        ([A, B], [], [A], None, True),
        ([A, B, C], [C], [A, C], 2, True),
    ],
)
def test_choice(
    suggested: list[object],
    members: list[object],
    existing: list[object],
    taken: int | None,
    *,
    awaits: bool,
) -> None:
    found = result(ESSAYS[0], *[s for s in STUDENTS if s in suggested])
    choice = choose(
        found, {s for s in STUDENTS if s in members}, {s for s in STUDENTS if s in existing}
    )
    assert choice.suggestion == (None if taken is None else found.suggestions[taken])
    assert choice.awaits_student is awaits


def test_order_counts_and_not_the_confidence() -> None:
    first, second = Suggestion(A, 0.1, ()), Suggestion(B, 0.9, ())
    choice = choose(MatchResult(ESSAYS[0], (first, second)), {A, B}, {A, B})
    assert choice.suggestion is first


@given(match_results, st.sets(st.sampled_from(STUDENTS)), st.sets(st.sampled_from(STUDENTS)))
def test_nothing_outside_the_class_is_taken_and_nothing_usable_left(
    found: MatchResult, members: set[object], others: set[object]
) -> None:
    inside = {s for s in STUDENTS if s in members}
    choice = choose(found, inside, inside | {s for s in STUDENTS if s in others})
    usable = [s for s in found.suggestions if s.student_id in inside]
    assert choice.suggestion == (usable[0] if usable else None)


def test_what_is_kept_is_of_members_in_the_order_it_came_each_once() -> None:
    unlikely, sure = Suggestion(A, 0.1, ("a",)), Suggestion(C, 0.9, ("c",))
    again = Suggestion(A, 0.8, ("again",))
    found = MatchResult(ESSAYS[0], (Suggestion(B, 1, ()), unlikely, sure, again))
    assert usable(found, {A, C}) == (unlikely, sure)
    assert usable(found, frozenset()) == ()


def test_ten_suggestions_are_kept() -> None:
    students = [UUID(int=number) for number in range(20)]
    found = result(ESSAYS[0], *students)
    kept = usable(found, set(students[5:]))
    assert [s.student_id for s in kept] == students[5 : 5 + MAX_SUGGESTIONS]


def test_reasons_that_are_too_many_or_too_long_are_cut() -> None:
    long, fits = "å" * (MAX_REASON + 1), "å" * MAX_REASON
    many = Suggestion(A, 0.9, (long, *["x"] * MAX_REASONS))
    assert cut(many).match_reasons == (fits, *["x"] * (MAX_REASONS - 1))
    enough = Suggestion(A, 0.9, (fits,) * MAX_REASONS)
    assert cut(enough) is enough
    assert usable(MatchResult(ESSAYS[0], (many,)), {A}) == (cut(many),)


@given(match_results, st.sets(st.sampled_from(STUDENTS)))
def test_the_chosen_one_is_the_first_that_is_kept(found: MatchResult, members: set[UUID]) -> None:
    chosen = choose(found, members, members).suggestion
    assert (chosen and cut(chosen)) == next(iter(usable(found, members)), None)
