"""A campaign plays every fault that is not only for asking, once, and in an order that fits."""

import random
from collections import Counter
from typing import Final

import pytest

from faults import schedule
from faults.campaign import Chooser, Plan
from faults.injectors import FAULTS, SHORT

LONG: Final = [name for name, fault in FAULTS.items() if fault.only_if_asked]


@pytest.mark.parametrize("seed", range(20))
def test_every_usual_fault_is_in_a_campaign(seed: int) -> None:
    steps = schedule.campaign(random.Random(seed), list(FAULTS))
    played = Counter(name for step in steps for name in step.faults)
    assert FAULTS.keys() - LONG <= played.keys()
    for step in steps:
        if any(FAULTS[name].alone for name in step.faults):
            assert len(step.faults) == 1


@pytest.mark.parametrize("seed", range(20))
def test_postgres_moves_last_since_its_small_disk_stays_behind(seed: int) -> None:
    steps = schedule.campaign(random.Random(seed), list(FAULTS))
    moving = [n for n, s in enumerate(steps) if any(FAULTS[f].moves_postgres for f in s.faults)]
    assert moving == list(range(len(steps) - len(moving), len(steps)))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_played_alone_is_not_mixed(seed: int) -> None:
    chooser = Chooser(random.Random(seed), Plan(seed, 1.0, list(FAULTS), mixed=1.0))
    for _ in range(2 * len(FAULTS)):
        names = chooser.choose()
        assert len(names) == 1 or not any(FAULTS[name].alone for name in names)


def test_the_short_form_plays_one_fault_of_each_new_kind() -> None:
    assert {FAULTS[name].of for name in SHORT} >= {"connections", "tenants", "messages", "postgres"}
