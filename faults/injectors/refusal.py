"""A broker that refuses messages for good: only their keys may wait."""

import asyncio
from collections.abc import Sequence
from typing import Final

from devstack.rig.topics import refusing
from devstack.worker import COMMAND
from faults.injectors.database import beside
from faults.injectors.scene import Fault, Scene
from faults.rig import Worker
from faults.workload.roster import new_class
from rules.topics import CLASS_UPDATED

NAME: Final = "messages_refused"
#: Enough classes that each shard of the outbox gets some.
OTHERS: Final = 100
OTHERS_AT_ONCE: Final = 10
#: Generous: the machine may be busy.
FLOW_SECONDS: Final = 20.0
#: This often in a row nothing is refused any more.
QUIET_LOOKS: Final = 3
LOOK_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 60.0
OTHER_ROWS: Final = "select count(*) from outbox where topic <> $1 and created_at < $2"


async def refused(scene: Scene) -> int:
    """Have the broker refuse every event of one topic, and then have them sent again.

    Meanwhile all others are published. Returns how many were refused.
    """
    async with refusing(scene.rig.bootstrap_servers, CLASS_UPDATED):
        await scene.hold(5, 15)
        await _others_flow(scene)
    async with asyncio.timeout(RETRY_SECONDS):
        return await _put_back(scene)


async def _put_back(scene: Scene) -> int:
    """Have everything sent again that was set aside; return how many messages were refused."""
    refused = 0
    quiet = 0
    while quiet < QUIET_LOOKS:
        put_back = await _retry_all(scene.worker())
        refused += put_back or 0
        quiet = quiet + 1 if put_back == 0 else 0
        await asyncio.sleep(LOOK_SECONDS)
    return refused


async def _others_flow(scene: Scene) -> None:
    """Make classes, and record whether their events leave the outbox for good."""
    history, began = scene.sender.history, scene.sender.clock()
    made: list[Sequence[str]] = []
    for _ in range(OTHERS // OTHERS_AT_ONCE):
        made += await asyncio.gather(*(_made(scene) for _ in range(OTHERS_AT_ONCE)))
    failure = None
    try:
        async with asyncio.timeout(FLOW_SECONDS):
            await scene.health.watch.wait(made)
            await _gone(scene)
    except TimeoutError:
        missing = sum(scene.health.watch.seen.keys().isdisjoint(ids) for ids in made)
        failure = f"{missing} of {len(made)} were not published in {FLOW_SECONDS:g} s"
        if not missing:
            failure = f"some stay in the outbox for more than {FLOW_SECONDS:g} s"
    history.probe(NAME, "the events of others", began, failure)


async def _gone(scene: Scene) -> None:
    """Wait until nothing that the broker takes is in the outbox any more of what is there now."""
    async with beside(scene) as connection:
        now = await connection.fetchval("select now()")
        while await connection.fetchval(OTHER_ROWS, CLASS_UPDATED, now):  # noqa: ASYNC110  # SQL is asked
            await asyncio.sleep(LOOK_SECONDS)


async def _made(scene: Scene) -> Sequence[str]:
    """Make a class; return the correlation ids of the requests, of which one has made it."""
    while True:
        op = await scene.health.calls.do("class.create", scene.health.user, None, new_class())
        if op.status == 201:
            return op.correlation_ids


async def _retry_all(worker: Worker) -> int | None:
    """Put everything back by the operator's command; return how many were refused, if it works."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *("outbox", "retry", "--all"),
        env=worker.plain_environ,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return int(out.split()[0]) if process.returncode == 0 else None


FAULTS = {NAME: Fault("kafka", refused, seconds=40.0, alone=True)}
