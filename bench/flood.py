"""Many associations that fall due at the same instant, with reads during that."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import uvloop

from bench import pending
from bench.database import Connection, await_empty_outbox, is_true
from bench.http_load import HttpLoad, HttpResult, loading
from bench.pending import Pending, PendingLoad
from devstack.rig.database import connected
from devstack.rig.waiting import until

LOOK_SECONDS: Final = 0.1
DECIDED_SECONDS: Final = 300.0
#: Between the reads at rest and the flood.
GAP_SECONDS: Final = 0.3

_DECIDED: Final = """
select not exists (
    select from batches where correlation_id = $1 and exists (
        select from associations
        where batch_id = batches.id and status = 'pending_validation'
    )
)
"""
_LATENESS: Final = """
select extract(epoch from validated_at - confirm_by)::float8 as seconds
from batches join associations on associations.batch_id = batches.id
where correlation_id = $1 and method = 'timeout' order by 1
"""
#: The decisions of a bare program, as many at a time as the service.
_DECIDE_SOME: Final = """
update associations set status = 'timeout_confirmed', method = 'timeout',
    student_id = suggested_student_id, validated_by = 'SYSTEM_TIMEOUT', validated_at = now()
where essay_id in (
    select essay_id from associations
    where status = 'pending_validation' and confirm_by <= now()
    order by confirm_by, batch_id limit $1 for update skip locked
)
"""


@dataclass(frozen=True)
class FloodLoad:
    """What falls due, and what is read before and during the flood."""

    pending: PendingLoad
    reads: HttpLoad
    """The length of the reads at rest; in the flood they last until all is decided."""
    floor_essays: int | None = None
    """How many a floor decides per statement; None: the service decides."""


@dataclass(frozen=True)
class FloodResult:
    """The measurements."""

    lateness: list[float]
    """Of each decided essay in seconds, ascending."""
    seconds: float
    """From the deadline until nothing was pending."""
    at_rest: HttpResult
    meanwhile: HttpResult
    drained_seconds: float
    """From the deadline until the outbox was empty."""


def measure(load: FloodLoad) -> FloodResult:
    """Store the associations, wait for the deadline, and measure."""
    return uvloop.run(_measure(load))


def prepare(load: PendingLoad) -> Pending:
    """Store associations; return a moment before they fall due."""
    return uvloop.run(_prepare(load))


def await_lateness(load: PendingLoad, there: Pending) -> list[float]:
    """Wait until all are decided; return how late each was, in seconds, ascending."""
    return uvloop.run(_await_lateness(load, there))


async def _prepare(load: PendingLoad) -> Pending:
    async with connected(load.dsn) as connection:
        there = await pending.prepare(connection, load)
        ahead = await pending.seconds_until(connection, there.first_deadline)
        await asyncio.sleep(ahead - GAP_SECONDS)
        return there


async def _await_lateness(load: PendingLoad, there: Pending) -> list[float]:
    async with connected(load.dsn) as connection:
        await await_decided(connection, there, DECIDED_SECONDS)
        return await lateness_of(connection, there)


async def _measure(load: FloodLoad) -> FloodResult:
    async with connected(load.pending.dsn) as connection, connected(load.pending.dsn) as other:
        there = await pending.prepare(connection, load.pending)
        at_rest = await _read_at_rest(connection, load, there)
        await asyncio.sleep(await pending.seconds_until(connection, there.first_deadline))
        deciding = asyncio.create_task(decide_some(other, load.floor_essays))
        endless = replace(load.reads, seconds=DECIDED_SECONDS, warm_seconds=0.0)
        async with loading(endless) as run:
            await asyncio.sleep(LOOK_SECONDS)
            await await_decided(connection, there, DECIDED_SECONDS)
            seconds = -await pending.seconds_until(connection, there.first_deadline)
        deciding.cancel()
        drained = await _drained(connection, there)
        lateness = await lateness_of(connection, there)
        return FloodResult(lateness, seconds, at_rest, run.result(), drained)


async def _read_at_rest(connection: Connection, load: FloodLoad, there: Pending) -> HttpResult:
    ahead = await pending.seconds_until(connection, there.first_deadline)
    needed = load.reads.warm_seconds + load.reads.seconds + GAP_SECONDS
    await asyncio.sleep(ahead - needed)
    async with loading(load.reads) as run:
        await run.ended
    return run.result()


async def await_decided(connection: Connection, there: Pending, limit_seconds: float) -> None:
    """Wait until all associations of these batches are decided."""
    await until(
        "everything to be decided",
        is_true(connection, _DECIDED, there.correlation_id),
        pause_seconds=LOOK_SECONDS,
        limit_seconds=limit_seconds,
    )


async def _drained(connection: Connection, there: Pending) -> float:
    await await_empty_outbox(connection, pause_seconds=LOOK_SECONDS, limit_seconds=DECIDED_SECONDS)
    return -await pending.seconds_until(connection, there.first_deadline)


async def decide_some(connection: Connection, essays: int | None) -> None:
    """Decide due associations until cancelled, as a floor; do nothing if the service does."""
    while essays:
        await connection.execute(_DECIDE_SOME, essays)
        await asyncio.sleep(0.001)


async def lateness_of(connection: Connection, there: Pending) -> list[float]:
    """Return how late each essay was decided, in seconds, ascending."""
    rows = await connection.fetch(_LATENESS, there.correlation_id)
    return [row["seconds"] for row in rows]
