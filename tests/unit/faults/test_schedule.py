"""A campaign plays every fault that is not only for asking, once, and in an order that fits."""

import random
from collections import Counter
from collections.abc import Sequence
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


def kills_after_damage(played: Sequence[Sequence[str]]) -> set[str]:
    """Return what kills Kafka once its logs are damaged: it would cut them off there."""
    faults = [[(name, FAULTS[name]) for name in names] for names in played]
    first = next(n for n, some in enumerate(faults) if any(f.damages_logs for _, f in some))
    return {name for some in faults[first:] for name, fault in some if fault.kills_kafka}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_kills_kafka_whose_logs_are_damaged(seed: int) -> None:
    steps = schedule.campaign(random.Random(seed), list(FAULTS))
    assert not kills_after_damage([step.faults for step in steps])
    chooser = Chooser(random.Random(seed), Plan(seed, 1.0, list(FAULTS), mixed=0.5))
    chosen = [chooser.choose() for _ in range(3 * len(FAULTS))]
    assert not kills_after_damage(chosen)
    assert FAULTS.keys() == {name for names in chosen for name in names}


@pytest.mark.parametrize("seed", range(20))
def test_what_is_played_alone_is_not_mixed(seed: int) -> None:
    chooser = Chooser(random.Random(seed), Plan(seed, 1.0, list(FAULTS), mixed=1.0))
    for _ in range(2 * len(FAULTS)):
        names = chooser.choose()
        assert len(names) == 1 or not any(FAULTS[name].alone for name in names)


def test_the_short_form_plays_one_fault_of_each_new_kind() -> None:
    assert {FAULTS[name].of for name in SHORT} >= {"connections", "tenants", "messages", "postgres"}
