"""PostgreSQL moves to its standby: after a crash of the primary, or because somebody says so."""

import asyncio
from typing import Final

from faults.calls import Calls
from faults.history import Outcome
from faults.injectors.scene import Fault, Scene
from faults.injectors.workers import WORKER_STOP_SECONDS
from faults.workload.roster import new_class

#: From the promotion until every worker writes again. Generous: the machine may be busy.
WRITES_SECONDS: Final = 40.0
RETRY_SECONDS: Final = 0.1
#: What begins before a server is demoted ends in this time.
DRAIN_SECONDS: Final = 1.0


async def failover(scene: Scene) -> int:
    """Kill the primary under load and promote its synchronous standby: nothing may be lost."""
    standby = await asyncio.to_thread(scene.rig.add_standby)
    await asyncio.to_thread(standby.make_synchronous)
    await scene.hold(10, 20)
    await _crash(scene, "postgres_failover")
    return 1


async def asynchronous(scene: Scene) -> int:
    """Do so with an asynchronous standby that is seconds behind, by the book: without workers."""
    standby = await asyncio.to_thread(scene.rig.add_standby)
    await scene.hold(10, 20)
    await asyncio.to_thread(standby.kill)
    await scene.hold(2, 6)
    # Workers that stored anything before they are restarted would not look back.
    await _crash(scene, "postgres_failover_late", without_workers=True)
    return 1


async def prompt(scene: Scene) -> int:
    """Do so with an asynchronous standby that follows as fast as it can."""
    await asyncio.to_thread(scene.rig.add_standby)
    await scene.hold(10, 20)
    await _crash(scene, "postgres_failover_async")
    return 1


async def switchover(scene: Scene) -> int:
    """Demote the primary, which keeps its sessions and refuses their writes, and promote the other.

    The old one stays until the service writes again, as where an address is only slowly known.
    """
    standby = await asyncio.to_thread(scene.rig.add_standby)
    await asyncio.to_thread(standby.make_synchronous)
    await scene.hold(5, 10)
    old, began = scene.rig.postgres, scene.sender.clock()
    await asyncio.to_thread(old.set_read_only)
    await asyncio.sleep(DRAIN_SECONDS)
    await asyncio.to_thread(standby.promote)
    scene.rig.fail_over()
    await _await_writes(scene, "postgres_switchover", began)
    await asyncio.to_thread(old.kill)
    return 1


async def _crash(scene: Scene, name: str, *, without_workers: bool = False) -> None:
    """Kill the primary and promote the standby, perhaps while no worker runs."""
    standby, began = scene.rig.standby, scene.sender.clock()
    stopped = scene.rig.workers if without_workers else []
    assert standby is not None
    await asyncio.to_thread(scene.rig.postgres.kill)
    for worker in stopped:
        await asyncio.to_thread(worker.stop, WORKER_STOP_SECONDS)
    if standby.pid is None:
        await asyncio.to_thread(standby.start)
    await asyncio.to_thread(standby.promote)
    scene.rig.fail_over()
    for worker in stopped:
        worker.begin()
    await _await_writes(scene, name, began)


async def _await_writes(scene: Scene, name: str, began: float) -> None:
    """Wait until every worker writes again, and record for how long it did not."""
    history, clock = scene.sender.history, scene.sender.clock
    promoted = clock()
    history.figure(name, "promoted_after_s", promoted - began)
    writing = [asyncio.create_task(_written(scene, port)) for port in scene.health.calls.ports]
    done, late = await asyncio.wait(writing, timeout=WRITES_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    if done:
        history.figure(name, "writes_again_after_s", max(task.result() for task in done) - began)
    failure = f"none at {len(late)} workers in {WRITES_SECONDS:g} s" if late else None
    history.probe(name, "writes", promoted, failure)


async def _written(scene: Scene, port: int) -> float:
    """Create classes at a worker until one is acknowledged; return when."""
    known = scene.health.calls
    calls = Calls(known.session, [port], known.history, known.clock, known.rng)
    while True:
        op = await calls.do("class.create", scene.health.user, None, new_class())
        if op.outcome is Outcome.ACKED:
            return scene.sender.clock()
        await asyncio.sleep(RETRY_SECONDS)


FAULTS = {
    "postgres_failover": Fault("postgres", failover, seconds=60.0, alone=True, moves_postgres=True),
    "postgres_switchover": Fault(
        "postgres", switchover, seconds=60.0, alone=True, moves_postgres=True
    ),
    # What these lose is no defect of the service: docs/guarantees.md has it.
    "postgres_failover_async": Fault(
        "postgres", prompt, seconds=60.0, alone=True, moves_postgres=True, only_if_asked=True
    ),
    "postgres_failover_late": Fault(
        "postgres", asynchronous, seconds=60.0, alone=True, moves_postgres=True, only_if_asked=True
    ),
}
