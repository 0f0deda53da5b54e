"""What reasons of dead letters mean is marked for the catalogues, as the rules have it."""

from rules.dead_letters.reasons import ABSENT, EXPLANATIONS, UNKNOWN
from rules.story import What
from web.console.reasons import TEXTS
from web.console.steps import NAMES


def test_each_explanation_is_marked() -> None:
    known = [UNKNOWN, ABSENT, *EXPLANATIONS.values()]
    assert set(TEXTS) == {text for one in known for text in (one.meaning, one.remedy)}


def test_each_step_has_a_name() -> None:
    assert set(NAMES) == set(What)
