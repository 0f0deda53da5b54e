"""Clients that hold a worker's connections: the operations paths answer all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

from faults.attacks import connections
from faults.cancellation import cancel
from faults.injectors.batches import stored_batch
from faults.injectors.scene import Fault, Play, Scene
from faults.rig import Worker

Attack = Callable[[str, int, int, float], Coroutine[None, None, int]]

#: About twice as many as a process may have open without doing anything about it.
SOCKETS: Final = 2_000
SLOW: Final = 400
UNREAD: Final = 500
#: The essays of the batch whose listing is not read: about 1 MB.
#: Longer than it takes to look.
HELD_SECONDS: Final = 150.0
ESSAYS: Final = 1_900
LOOKS: Final = 8
LOOK_SECONDS: Final = 1.0
#: Generous: the machine may be busy with other work.
ANSWER_SECONDS: Final = 10.0
MEMORY_MEGABYTES: Final = 300


def held(name: str, attack: Attack, count: int) -> Play:
    """Hold connections of a worker, and ask it meanwhile whether it lives."""

    async def play(scene: Scene) -> int:
        worker = scene.worker()
        async with _beside(attack(worker.host, worker.port, count, HELD_SECONDS)):
            await _look(scene, worker, name)
        return count

    return play


async def unread(scene: Scene) -> int:
    """Have many clients ask for a large answer that they do not read."""
    worker, user = scene.worker(), scene.health.user
    batch_id, _ = await stored_batch(scene, ESSAYS)
    path = f"/v1/batches/{batch_id}/student-associations"
    before = _megabytes(worker)
    attack = connections.unread_answers(
        worker.host, worker.port, UNREAD, HELD_SECONDS, path, quote(user)
    )
    async with _beside(attack):
        await _look(scene, worker, "connections_unread")
        grown = _megabytes(worker) - before
    history, at = scene.sender.history, scene.sender.clock()
    history.figure("connections_unread", "memory_mb", grown)
    failure = f"it grew by {grown:.0f} MB" if grown > MEMORY_MEGABYTES else None
    history.probe("connections_unread", "the memory of a worker", at, failure)
    return UNREAD


@asynccontextmanager
async def _beside(attack: Coroutine[None, None, int]) -> AsyncIterator[None]:
    """Attack for as long as the context lasts."""
    attacking = asyncio.create_task(attack)
    try:
        yield
    finally:
        await cancel([attacking])


async def _look(scene: Scene, worker: Worker, name: str) -> None:
    """Ask whether the worker lives, some times."""
    history, clock = scene.sender.history, scene.sender.clock
    for _ in range(LOOKS):
        at = clock()
        status = await connections.probe(worker.host, worker.port, "/livez", ANSWER_SECONDS)
        failure = None
        if status != HTTPStatus.OK:
            failure = f"answered {status}" if status else f"no answer in {ANSWER_SECONDS:g} s"
        history.probe(name, "/livez", at, failure)
        await scene.sleep(LOOK_SECONDS)


def _megabytes(worker: Worker) -> float:
    """Return the memory that a worker has now; 0 if it does not run."""
    try:
        lines = Path(f"/proc/{worker.pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


FAULTS = {
    **{
        f"connections_{name}": Fault(
            "connections", held(f"connections_{name}", attack, count), alone=True
        )
        for name, attack, count in (
            ("idle", connections.idle_sockets, SOCKETS),
            ("slow_heads", connections.slow_heads, SLOW),
            ("slow_bodies", connections.slow_bodies, SLOW),
        )
    },
    "connections_unread": Fault("connections", unread, alone=True),
}
