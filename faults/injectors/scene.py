"""What a fault has at hand."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from faults.rig import Rig, Worker
from faults.sender import Sender


@dataclass
class Scene:
    """Where a fault is played. `pace` shortens how long things are away."""

    rig: Rig
    rng: random.Random
    sender: Sender
    pace: float = 1.0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the run is to end early: nothing holds on any longer."""

    def worker(self) -> Worker:
        """Return one of the workers."""
        return self.rng.choice(self.rig.workers)

    async def hold(self, low: float, high: float) -> None:
        """Let a fault last for a while, as a share of the usual."""
        await self.sleep(self.rng.uniform(low, high) * self.pace)

    async def sleep(self, seconds: float) -> None:
        """Let a fault last for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)


@dataclass(frozen=True)
class Fault:
    """A fault.

    `play` returns how many times it has struck; `of` names what it befalls, since two that befall
    the same are not played at once. `needs_small_disk`: PostgreSQL's data has to lie on one.
    `seconds`: about how long it takes until the service is well again, for which it has at least
    `well_seconds`. `only_if_asked`: it is played by its name alone, since it takes so long.
    """

    of: str
    play: Callable[[Scene], Awaitable[int]]
    needs_small_disk: bool = False
    seconds: float = 25.0
    well_seconds: float = 0.0
    only_if_asked: bool = False
