"""Faults of workers: they die, stop, hang, lose their tables, or have a wrong clock."""

import asyncio
import shutil
from typing import Final

from devstack.stack import REPOSITORY
from faults.injectors.scene import Fault, Scene
from faults.rig import Worker

WORKER_STOP_SECONDS: Final = 20.0
SHIFTED_CLOCK: Final = REPOSITORY / "devstack" / "rig" / "shifted_clock"
SHIFTS: Final = (-86_400, -60, 60, 3_600, 86_400)
HANDOVERS: Final = 3


async def kill(scene: Scene) -> int:
    """Kill one or two workers, and restart them a little later."""
    victims = scene.rng.sample(scene.rig.workers, scene.rng.choice((1, 1, 2)))
    for worker in victims:
        await asyncio.to_thread(worker.kill)
    await scene.hold(0, 10)
    for worker in victims:
        worker.begin()
    return len(victims)


async def storm(scene: Scene) -> int:
    """Kill worker after worker: while others recover, in the middle of a start, all at once."""
    wanted, kills = scene.rng.randint(3, 6), 0
    while kills < wanted and not scene.stopping.is_set():
        for worker in scene.rng.choices((scene.rig.workers, [scene.worker()]), (1, 4))[0]:
            kills += worker.pid is not None
            await asyncio.to_thread(worker.kill)
            worker.begin()
        # From a worker that has just started to one that has taken over its partitions.
        await scene.sleep(scene.rng.choice((0.3, 1, 2, 4, 8)) * scene.rng.random())
    return kills


async def stop(scene: Scene) -> int:
    """Stop a worker cleanly, and restart it."""
    worker = scene.worker()
    await _end(worker)
    await scene.hold(0, 10)
    worker.begin()
    return 1


async def come_and_go(scene: Scene) -> int:
    """Make the group rebalance repeatedly."""
    for _ in range(HANDOVERS):
        worker = scene.worker()
        await _end(worker)
        worker.begin()
        await scene.hold(2, 8)
    return HANDOVERS


async def hang(scene: Scene) -> int:
    """Freeze a worker for longer than its session: others take over, then it wakes up."""
    worker = scene.worker()
    worker.pause()
    try:
        # Not scaled: the length of the session is fixed.
        await asyncio.sleep(scene.rng.uniform(8, 16))
    finally:
        worker.resume()
    return 1


async def wrong_clock(scene: Scene) -> int:
    """Run a worker with a clock that is wrong by up to a day, then correct it."""
    worker = scene.worker()
    shift = scene.rng.choice(SHIFTS)
    await asyncio.to_thread(worker.kill)
    worker.set_environ(PYTHONPATH=str(SHIFTED_CLOCK), CLOCK_SHIFT_SECONDS=str(shift))
    worker.begin()
    await scene.hold(20, 40)
    await asyncio.to_thread(worker.kill)
    worker.set_environ()
    worker.begin()
    return 1


async def table_gone(scene: Scene) -> int:
    """Kill a worker, and restart it without its RocksDB files."""
    await without_table(scene.worker())
    return 1


async def without_table(worker: Worker) -> None:
    """Kill a worker, and restart it without its RocksDB files."""
    await asyncio.to_thread(worker.kill)
    await asyncio.to_thread(shutil.rmtree, worker.table_dir, ignore_errors=True)
    worker.begin()


async def table_corrupt(scene: Scene) -> int:
    """Kill a worker, and restart it with damaged RocksDB files."""
    worker = scene.worker()
    await asyncio.to_thread(worker.kill)
    files = [p for p in worker.table_dir.rglob("*.db/*") if p.is_file() and p.stat().st_size > 64]
    damaged = scene.rng.sample(sorted(files), min(len(files), 5))
    for path in damaged:
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 32] = scene.rng.randbytes(len(content[middle : middle + 32]))
        path.write_bytes(content)
    worker.begin()
    return len(damaged)


async def _end(worker: Worker) -> None:
    """Stop a worker cleanly."""
    await asyncio.to_thread(worker.stop, WORKER_STOP_SECONDS)


FAULTS = {
    "worker_kill": Fault("workers", kill),
    "worker_storm": Fault("workers", storm, seconds=35.0),
    "worker_stop": Fault("workers", stop),
    "worker_rebalance": Fault("workers", come_and_go),
    "worker_hang": Fault("workers", hang),
    "worker_clock": Fault("workers", wrong_clock),
    "table_gone": Fault("workers", table_gone),
    "table_corrupt": Fault("workers", table_corrupt),
}
