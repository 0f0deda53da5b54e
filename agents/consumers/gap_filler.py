"""Sees to it that an agent gets every message of its topic, whatever Faust drops on the way.

Faust keeps in memory what it has read and what may be committed, and it has lost messages there
(docs/guarantees.md). So its word is not taken: each partition is accounted for by the progress that
PostgreSQL keeps with the messages themselves, and what is skipped is read from the log.

Nothing is waited for while partitions are assigned: what the first message after an assignment
skips is a hole like any other. And nothing is ever left out because progress says that it is done:
the inbox knows that better.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agents.consumers.retry import persistently
from agents.faust_support.position import Consumption
from agents.kafka.log_reader import LogReader
from rules.models import Record
from rules.progress import Hole, Progress, advanced, pieces, starting_point
from store.protocols.progress import ProgressProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

LOOK_SECONDS: Final = 1.0
#: How often in a row a partition is seen to stand still before its end until that is a hole: an
#: agent with nothing in hand takes what Faust has read within a fraction of a second.
QUIET_LOOKS: Final = 5

_log = get_logger(__name__)


class Taker(Protocol):
    """Stores messages, and with them how far they bring the partitions."""

    async def take(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Return only when every record is stored or buried, whatever happens; raise nothing."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where progress and the log are read."""

    progress: ProgressProtocol
    log: LogReader


class Unbroken:
    """Hands records on to a taker, and before them what was skipped."""

    def __init__(
        self,
        agent: str,
        group: str,
        consumption: Consumption,
        taker: Taker,
        sources: Sources,
        metrics: Metrics,
    ) -> None:
        self._agent = agent
        self._group = group
        self._consumption = consumption
        self._taker = taker
        self._sources = sources
        self._metrics = metrics
        #: One at a time: what the agent is given, and what is found without it.
        self._turn = asyncio.Lock()
        self._generation: int | None = None
        self._stored: dict[int, int] = {}
        self._reached: dict[int, int] = {}
        self._standing: dict[int, tuple[int, int]] = {}

    async def take(self, records: Sequence[Record]) -> None:
        """Take records as they come from the stream; returns only when all are stored."""
        async with self._turn:
            # The agent has something in hand: what waits behind that is not skipped.
            self._standing.clear()
            await self._begin_anew()
            reached = {record.partition: self._reach(record.partition) for record in records}
            for piece in pieces(records, reached):
                if isinstance(piece, Hole):
                    await self._mend(piece)
                else:
                    await self._hand_on(piece)

    async def run(self) -> None:
        """Look for ever after what was skipped with nothing behind it that would show it."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            asked = clock()
            async with self._turn:
                if clock() - asked > LOOK_SECONDS or not self._consumption.settled:
                    # A batch in hand waited for the database, or a rebalance holds everything up.
                    self._standing.clear()
                else:
                    await self._look()

    async def _look(self) -> None:
        await self._begin_anew()
        for partition in self._consumption.partitions():
            reach, end = self._reach(partition), self._consumption.end(partition)
            if end is None or end == reach:
                self._standing.pop(partition, None)
            elif self._stands_still(partition, reach):
                await self._close_in(partition, reach, end)

    def _stands_still(self, partition: int, reach: int) -> bool:
        before, looks = self._standing.get(partition, (reach, 0))
        looks = looks + 1 if before == reach else 1
        self._standing[partition] = reach, looks
        return looks >= QUIET_LOOKS

    async def _close_in(self, partition: int, reach: int, end: int) -> None:
        """Read what is left of a partition whose stream brings nothing more."""
        if end < reach:
            _log.warning(
                "topic made anew, its partition is read from the beginning",
                topic=self._consumption.topic,
                partition=partition,
                ends=end,
                stored=reach,
            )
            reach = 0
            self._reached[partition] = 0
        await self._mend(Hole(partition, reach, end))

    async def _begin_anew(self) -> None:
        """Ask how far everything has come where partitions were assigned since the last time.

        What a batch from before the assignment still has in hand may be written after this is
        read. Then this is too low, which costs a second look and nothing else.
        """
        generation = self._consumption.generation
        if generation == self._generation:
            return
        self._stored = await persistently(
            lambda: self._sources.progress.stored(self._group, self._consumption.topic),
            self._agent,
            self._metrics,
        )
        self._reached.clear()
        self._standing.clear()
        self._generation = generation

    def _reach(self, partition: int) -> int:
        """Return up to where a partition is accounted for."""
        if partition not in self._reached:
            begins = self._consumption.begins(partition)
            self._reached[partition] = starting_point(self._stored.get(partition), begins)
        return self._reached[partition]

    async def _hand_on(self, records: Sequence[Record]) -> None:
        after = advanced(records, self._reached)
        topic = self._consumption.topic
        progress = [Progress(self._group, topic, *place) for place in after.items()]
        await self._taker.take(records, progress)
        self._reached.update(after)

    async def _mend(self, hole: Hole) -> None:
        topic = self._consumption.topic
        found = await self._sources.log.read(topic, hole, self._hand_on)
        self._reached[hole.partition] = max(self._reached[hole.partition], hole.end)
        content = "messages" if found else "nothing"
        self._metrics.holes.labels(self._agent, content).inc()
        (_log.warning if found else _log.info)(
            "skipped by the stream and read again",
            topic=topic,
            partition=hole.partition,
            begin=hole.begin,
            end=hole.end,
            found=found,
        )
