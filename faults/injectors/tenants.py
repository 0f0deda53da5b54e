"""One user's burst: many requests of one batch at once, while other users work."""

import asyncio
from typing import Final
from uuid import uuid4

from faults.calls import Calls
from faults.history import Op, Outcome
from faults.injectors.batches import decisions_on, stored_batch
from faults.injectors.database import beside
from faults.injectors.scene import Fault, Scene
from faults.rig import Worker
from faults.workload.roster import new_class

CONFIRMS: Final = 170
#: How long the batch is locked from outside, so that all of its requests meet.
LOCKED_SECONDS: Final = 5.0
BYSTANDERS: Final = 16
BYSTANDER_SECONDS: Final = 0.2
#: The share of bystanders that may meet something else: the machine is busy.
MAY_FAIL: Final = 0.25
LOOK_SECONDS: Final = 0.5
LOCK: Final = "select from batches where id = $1::uuid for update"


async def hot_batch(scene: Scene) -> int:
    """Confirm a batch's essays in as many requests, all at once and again, at one worker."""
    calls = _at(scene, scene.worker())
    batch_id, essays = await stored_batch(scene, CONFIRMS)

    async def confirm(essay: str) -> Op:
        body = decisions_on([essay])
        return await calls.try_once("associations.confirm", scene.health.user, batch_id, body)

    async with beside(scene) as connection, connection.transaction():
        await connection.execute(LOCK, batch_id)
        confirms = [asyncio.create_task(confirm(essay)) for essay in essays]
        await asyncio.sleep(LOOK_SECONDS)
        await _bystanders(scene, calls)
    # One after the other: repeated all at once, they would keep each other from being done.
    for op in await asyncio.gather(*confirms):
        await calls.settle(op)
    return len(confirms)


async def _bystanders(scene: Scene, calls: Calls) -> None:
    """Work as other users, and record how many requests were not done at once."""
    history, began = scene.sender.history, scene.sender.clock()
    end = began + LOCKED_SECONDS
    ops: list[Op] = []
    while len(ops) < BYSTANDERS or scene.sender.clock() < end:
        ops.append(await calls.do("class.create", f"granne-{uuid4().hex}", None, new_class()))
        await asyncio.sleep(BYSTANDER_SECONDS)
    failed = [one for op in ops if (one := op.attempts[0]).outcome is not Outcome.ACKED]
    history.figure("hot_batch", "others_refused", len(failed) / len(ops))
    failure = None
    if len(failed) > MAY_FAIL * len(ops):
        failure = f"{len(failed)} of {len(ops)} got {failed[0].status or 'no answer'}"
    history.probe("hot_batch", "the requests of other users", began, failure)


def _at(scene: Scene, worker: Worker) -> Calls:
    """Return calls of one worker."""
    calls = scene.health.calls
    return Calls(calls.session, [worker.port], calls.history, calls.clock, calls.rng)


FAULTS = {"hot_batch": Fault("tenants", hot_batch, alone=True)}
