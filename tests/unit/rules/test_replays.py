"""How a dead letter stands, by what was decided and what came of it."""

from dataclasses import replace
from typing import Final
from uuid import UUID

import pytest

from rules.dead_letters.letters import replay_message
from rules.dead_letters.messages import DeadLetter, Reason
from rules.dead_letters.replays import (
    Decided,
    Ended,
    LetterDecision,
    State,
    advances,
    endings,
    failed_again,
    state_of,
)
from rules.models import Record
from tests.unit.rules.strategies import NOW

ID: Final = UUID("11111111-1111-4111-8111-000000000001")
PLAIN: Final = Record("huleedu.class.commands.v1.dlt", 0, 0, 0, None, b"{}", ())
REPLAY: Final = replace(PLAIN, headers=replay_message(PLAIN, ID).headers)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, State.UNDERWAY),
        ("parked", State.UNDERWAY),
        ("dead_lettered", State.FAILED),
        ("stored", State.TAKEN),
        ("duplicate", State.TAKEN),
        ("rejected", State.TAKEN),
        ("cleared", State.TAKEN),
    ],
)
def test_a_replay_stands_as_what_came_of_it(outcome: str | None, state: State) -> None:
    assert state_of(Decided(ID, LetterDecision.REPLAYED, NOW, ID, outcome)) is state


def test_other_letters() -> None:
    assert state_of(None) is State.OPEN
    assert state_of(Decided(ID, LetterDecision.DROPPED, NOW)) is State.DROPPED


@pytest.mark.parametrize(
    ("before", "after", "says_more"),
    [
        (None, "duplicate", True),
        (None, "parked", True),
        ("parked", "stored", True),
        ("parked", "dead_lettered", True),
        ("parked", "duplicate", False),
        ("stored", "duplicate", False),
        ("dead_lettered", "stored", False),
    ],
)
def test_the_first_outcome_counts(before: str | None, after: str, says_more: bool) -> None:  # noqa: FBT001
    assert advances(before, after) is says_more


def test_only_replays_have_endings_and_each_has_one() -> None:
    handled = [(PLAIN, "stored"), (REPLAY, "applied"), (REPLAY, "duplicate")]
    assert endings(handled) == [Ended(ID, "applied")]
    assert endings([]) == []


def test_replays_among_dead_letters() -> None:
    letters = [DeadLetter(one, Reason.BATCH_CLOSED, "") for one in (PLAIN, REPLAY)]
    assert failed_again(letters) == [Ended(ID, "dead_lettered", "batch_closed")]
