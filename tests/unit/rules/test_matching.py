"""The first suggested student of the class is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.matching import choose
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
