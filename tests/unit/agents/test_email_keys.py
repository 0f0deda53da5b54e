"""The loop that gives keys: it goes on where it is told, ends its round, and looks again."""

import asyncio
from collections.abc import Sequence
from math import isnan
from typing import Final
from uuid import UUID

import pytest

from agents.jobs import email_keys
from agents.jobs.email_keys import LOOKS_BETWEEN, EmailKeysLoop
from rules.email_keys import Collision
from rules.errors import StoreUnavailableError
from store.protocols.email_keys import Lacking, WithoutKey
from telemetry.metrics import Metrics

FIRST: Final = UUID(int=0)


class Keys:
    """Has portions of students, and ends the loop after some looks."""

    def __init__(self, portions: Sequence[int], looks: int) -> None:
        self.left = list(portions)
        self.asked: list[tuple[Lacking, int]] = []
        self._looks = looks
        self.away = False

    async def fill(self, lacking: Lacking, begin: UUID, _limit: int) -> UUID | None:
        self.asked.append((lacking, begin.int))
        return UUID(int=self.left.pop(0)) if self.left else None

    async def count(self) -> WithoutKey:
        if self.away:
            raise StoreUnavailableError
        return WithoutKey(len(self.left), 3)

    async def collisions(self) -> list[Collision]:
        return []

    async def sleep(self, seconds: float) -> None:
        if seconds == email_keys.LOOK_SECONDS:
            self._looks -= 1
        if not self._looks:
            raise asyncio.CancelledError


async def run(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Metrics:
    metrics = Metrics()
    monkeypatch.setattr(asyncio, "sleep", keys.sleep)
    with pytest.raises((asyncio.CancelledError, StoreUnavailableError)):
        await EmailKeysLoop(keys, metrics).run()
    return metrics


def shown(metrics: Metrics, name: str) -> float:
    value = metrics.registry.get_sample_value(f"class_management_emails_{name}")
    assert value is not None
    return value


async def test_a_round_goes_on_from_portion_to_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys([7, 11], 1)
    metrics = await run(keys, monkeypatch)
    unkeyed = [begin for lacking, begin in keys.asked if lacking is Lacking.UNKEYED]
    assert unkeyed == [0, 7, 11]
    assert (shown(metrics, "unkeyed"), shown(metrics, "colliding")) == (0, 3)


async def test_those_who_collide_are_looked_at_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys([], 2 * LOOKS_BETWEEN)
    await run(keys, monkeypatch)
    assert keys.asked.count((Lacking.UNKEYED, 0)) == 2 * LOOKS_BETWEEN
    assert keys.asked.count((Lacking.COLLIDING, 0)) == 2


async def test_what_cannot_be_counted_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys([], 1)
    keys.away = True
    metrics = await run(keys, monkeypatch)
    assert isnan(shown(metrics, "unkeyed"))
    assert isnan(shown(metrics, "colliding"))
