"""Associations of which no timer tells: the clock finds them once they are overdue."""

import asyncio
from dataclasses import dataclass

import uvloop

from bench import pending
from bench.flood import DECIDED_SECONDS, await_decided, lateness_of
from bench.pending import PendingLoad
from devstack.rig.database import connected


@dataclass(frozen=True)
class OverdueResult:
    """The measurements."""

    first_seconds: float
    """How late the first one was decided."""
    decided: int
    seconds: float
    """From the first decision until nothing was pending."""


def measure(load: PendingLoad) -> OverdueResult:
    """Store associations without timers, wait for their deadline, and until all are decided."""
    return uvloop.run(_measure(load))


async def _measure(load: PendingLoad) -> OverdueResult:
    async with connected(load.dsn) as connection:
        there = await pending.prepare(connection, load)
        await asyncio.sleep(await pending.seconds_until(connection, there.first_deadline))
        await await_decided(connection, there, DECIDED_SECONDS)
        seconds = -await pending.seconds_until(connection, there.first_deadline)
        late = await lateness_of(connection, there)
        return OverdueResult(late[0], len(late), seconds - late[0])
