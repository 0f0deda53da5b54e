"""What a fault has at hand."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.rig import Rig, Worker
from tests.faults.sending import Sender


@dataclass
class Scene:
    """Where a fault is played. `pace` shortens how long things are away."""

    rig: Rig
    rng: random.Random
    sender: Sender
    pace: float = 1.0

    def worker(self) -> Worker:
        """Return one of the workers."""
        return self.rng.choice(self.rig.workers)

    async def hold(self, low: float, high: float) -> None:
        """Let a fault last for a while."""
        await asyncio.sleep(self.rng.uniform(low, high) * self.pace)


@dataclass(frozen=True)
class Fault:
    """A fault.

    `play` returns how many times it has struck; `of` names what it befalls, since two that befall
    the same are not played at once. `needs_small_disk`: PostgreSQL's data has to lie on one.
    """

    of: str
    play: Callable[[Scene], Awaitable[int]]
    needs_small_disk: bool = False
