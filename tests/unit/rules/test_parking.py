"""How long parked messages wait."""

from datetime import timedelta

import pytest

from rules.models import Policy
from rules.parking import first_pause, pause


def test_pauses_grow_to_five_seconds() -> None:
    seconds = [pause(tries).total_seconds() for tries in range(7)]
    assert seconds == [0.5, 1, 2, 4, 5, 5, 5]
    assert pause(100_000) == timedelta(seconds=5)


@pytest.mark.parametrize(("retry", "first"), [(0.0, 0.0), (0.1, 0.1), (0.5, 0.5), (60.0, 0.5)])
def test_the_first_pause_is_no_longer_than_a_message_may_wait(retry: float, first: float) -> None:
    assert first_pause(Policy(suggestion_retry=timedelta(seconds=retry))).total_seconds() == first
