"""Many deadlines, one after the other, while suggestions are stored as fast as possible."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import uvloop

from bench import pending, seed
from bench.database import Connection
from bench.flood import await_decided, decide_some, lateness_of
from bench.kafka import producing
from bench.pending import PendingLoad
from bench.suggestions import Batch
from devstack.rig.database import connected

#: Messages that always wait in Kafka: more than the service reads at once.
AHEAD: Final = 300
FEED_SECONDS: Final = 0.05
GRACE_SECONDS: Final = 120.0

_STORED: Final = "select id from batches where id = any($1::uuid[])"


@dataclass(frozen=True)
class DeadlinesLoad:
    """What falls due, and where suggestions arrive meanwhile."""

    pending: PendingLoad
    bootstrap_servers: str
    topic: str
    floor_essays: int | None = None
    """How many a floor decides per statement; None: the service decides."""


@dataclass(frozen=True)
class DeadlinesResult:
    """The measurements."""

    lateness: list[float]
    """Of each decided essay in seconds, ascending."""
    stored_per_second: float
    """Essays stored meanwhile."""


def measure(load: DeadlinesLoad) -> DeadlinesResult:
    """Let deadlines pass while suggestions are stored; return how late each essay was."""
    return uvloop.run(_measure(load))


async def _measure(load: DeadlinesLoad) -> DeadlinesResult:
    async with (
        connected(load.pending.dsn) as watching,
        connected(load.pending.dsn) as deciding,
        connected(load.pending.dsn) as feeding,
    ):
        feeder = _Feeder(load, feeding)
        there = await pending.prepare(watching, load.pending)
        await asyncio.sleep(await pending.seconds_until(watching, there.first_deadline))
        tasks = [
            asyncio.create_task(feeder.feed()),
            asyncio.create_task(decide_some(deciding, load.floor_essays)),
        ]
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(load.pending.spread_seconds)
        await await_decided(watching, there, GRACE_SECONDS)
        seconds, stored = asyncio.get_running_loop().time() - began, feeder.stored
        feeder.ending = True
        await tasks[0]
        tasks[1].cancel()
        lateness = await lateness_of(watching, there)
        return DeadlinesResult(lateness, stored * seed.CLASS_SIZE / seconds)


class _Feeder:
    """Keeps a limited number of messages waiting in Kafka."""

    def __init__(self, load: DeadlinesLoad, connection: Connection) -> None:
        self._load = load
        self._connection = connection
        self._waiting: set[UUID] = set()
        self.stored = 0
        self.ending = False

    async def feed(self) -> None:
        """Produce until `ending` is set; return once all is stored."""
        numbers = itertools.count()
        async with producing(self._load.bootstrap_servers, self._load.topic) as producer:
            while not self.ending:
                while len(self._waiting) < AHEAD:
                    batch = Batch(next(numbers), seed.CLASS_SIZE)
                    await producer.send(self._load.topic, batch.value, key=batch.key)
                    self._waiting.add(batch.id)
                await self._look()
        async with asyncio.timeout(GRACE_SECONDS):
            while self._waiting:
                await self._look()

    async def _look(self) -> None:
        """Count what has been stored."""
        await asyncio.sleep(FEED_SECONDS)
        rows = await self._connection.fetch(_STORED, list(self._waiting))
        self._waiting -= {row["id"] for row in rows}
        self.stored += len(rows)
