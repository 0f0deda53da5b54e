"""Faults of workers."""

import asyncio

from tests.faults.injecting.scene import Fault, Scene


async def kill(scene: Scene) -> int:
    """End one or two workers as a crash would, and start them again a little later."""
    victims = scene.rng.sample(scene.rig.workers, scene.rng.choice((1, 1, 2)))
    for worker in victims:
        await asyncio.to_thread(worker.kill)
    await scene.hold(0, 10)
    for worker in victims:
        worker.begin()
    return len(victims)


async def stop(scene: Scene) -> int:
    """Stop a worker in good order, and start it again."""
    worker = scene.worker()
    await asyncio.to_thread(worker.stop, 15.0)
    await scene.hold(0, 10)
    worker.begin()
    return 1


FAULTS = {
    "worker_kill": Fault("workers", kill),
    "worker_stop": Fault("workers", stop),
}
