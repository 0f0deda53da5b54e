"""The surroundings of a fault."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from faults.recovery import HealthCheck
from faults.rig import Rig, Worker
from faults.sender import Sender


@dataclass
class Scene:
    """The system in which faults are played. `pace` scales the length of outages."""

    rig: Rig
    rng: random.Random
    sender: Sender
    health: HealthCheck
    pace: float = 1.0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to end the run early: outages end at once."""

    def worker(self) -> Worker:
        """Return one of the workers."""
        return self.rng.choice(self.rig.workers)

    async def hold(self, low: float, high: float) -> None:
        """Wait for the usual length of an outage, scaled by `pace`."""
        await self.sleep(self.rng.uniform(low, high) * self.pace)

    async def sleep(self, seconds: float) -> None:
        """Wait for the length of an outage, not scaled."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)


Play: TypeAlias = Callable[[Scene], Awaitable[int]]
"""Plays a fault; returns how often it has struck."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    `play` returns how often it has struck; `of` names its target, since two faults of the same
    target are not played at once. `needs_small_disk`: PostgreSQL's data has to be on one.
    `seconds`: the usual time until the service has recovered; the limit is at least
    `well_seconds`. `only_if_asked`: it takes so long that it is played only by name. `alone`: what
    it tries meanwhile would fail for another fault's reasons. `moves_postgres`: it leaves the data
    with another server. `damages_logs`: it leaves batches in Kafka's logs that are damaged, where
    Kafka cuts them off if one that `kills_kafka` follows.
    """

    of: str
    play: Play
    needs_small_disk: bool = False
    seconds: float = 25.0
    well_seconds: float = 0.0
    only_if_asked: bool = False
    alone: bool = False
    moves_postgres: bool = False
    damages_logs: bool = False
    kills_kafka: bool = False
