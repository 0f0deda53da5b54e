"""Waits until nothing is under way any more, and meanwhile compares the table."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from devstack.rig.database import connected
from devstack.worker import COMMAND
from faults.calls import Calls
from faults.history import Op
from faults.recovery import HealthCheck
from faults.rig import Rig, Worker

#: Of a service that does not recover this much is still waited for.
UNWELL_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.5
#: A count that is zero in this many polls in a row stays so.
QUIET_LOOKS: Final = 4
COMPARE_SECONDS: Final = 90.0
EXIT_DIFFERS: Final = 1

#: By then every request that a client has given up has ended.
REQUEST_SECONDS: Final = 5.0
AT_ONCE: Final = 20

QUEUES: Final = "select (select count(*) from outbox_packs) + (select count(*) from parked)"
#: All changes have a number, from the first one on.
UNNUMBERED: Final = """
select (select count(*) from changes) - (select sequence from feed_state)
"""
#: Every batch closes, also without essays, and after its class is gone.
OPEN: Final = "select count(*) from batches where closed_at is null"

Say = Callable[[str], None]


async def await_quiescence(
    rig: Rig, health: HealthCheck, say: Say, limit: float
) -> Mapping[str, int] | None:
    """Wait for the end of all work; return how table and PostgreSQL differ, None if unknown.

    The comparison runs while batches wait for the clock, so that the table has entries.
    """
    if await health.await_healthy(limit) is None:
        say("not well after the last fault")
        limit = UNWELL_SECONDS
    await _settle(health.calls, say, limit)
    compare = min(COMPARE_SECONDS, limit)
    await _quiet(rig, QUEUES, say, limit)
    while_pending = await _compare(rig.workers[0], say, compare)
    await _quiet(rig, OPEN, say, limit)
    await _quiet(rig, QUEUES, say, limit)
    await _quiet(rig, UNNUMBERED, say, limit)
    at_the_end = await _compare(rig.workers[-1], say, compare)
    if while_pending is None or at_the_end is None:
        return None
    return {name: while_pending[name] + at_the_end[name] for name in at_the_end}


async def _settle(calls: Calls, say: Say, limit: float) -> None:
    """Repeat by their keys the requests that nobody knows the outcome of, until it is known."""
    await asyncio.sleep(REQUEST_SECONDS)
    left = [op for op in calls.history.ops if op.is_open]
    say(f"asking again for {len(left)} requests")
    at_once = asyncio.Semaphore(AT_ONCE)

    async def ask(op: Op) -> None:
        async with at_once:
            await calls.ask_again(op)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await asyncio.gather(*map(ask, left))


async def _quiet(rig: Rig, count: str, say: Say, limit: float) -> None:
    """Wait until a count is zero and stays so."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + limit
    quiet = 0
    async with connected(rig.postgres.url) as connection:
        while quiet < QUIET_LOOKS:
            left = await connection.fetchval(count)
            quiet = 0 if left else quiet + 1
            if clock() > deadline:
                say(f"{left} are left of: {' '.join(count.split())}")
                return
            await asyncio.sleep(LOOK_SECONDS)


async def _compare(worker: Worker, say: Say, limit: float) -> dict[str, int] | None:
    """Compare with the operator's command, until all workers have answered."""
    message = "nothing"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while True:
                code, out, message = await _tables_check(worker)
                if code in {0, EXIT_DIFFERS}:
                    found = json.loads(out)
                    return {name: int(found[name]) for name in ("missing", "stale", "different")}
                await asyncio.sleep(LOOK_SECONDS)
    say(f"tables check: {message}")
    return None


async def _tables_check(worker: Worker) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *("tables", "check", "--json"),
        env=worker.plain_environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, out.decode(), err.decode(errors="replace").strip()
