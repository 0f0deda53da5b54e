"""Gives a handler every message of its topic, whatever Faust drops on the way.

Faust keeps in memory what it has read and what may be committed, and it has lost messages there
(docs/guarantees.md). So it is not relied on: each partition is accounted for by the progress that
PostgreSQL keeps with the messages themselves, and what is skipped is read from the log.

Nothing is waited for while partitions are assigned: what the first message after an assignment
skips is a hole like any other. And nothing is ever left out because progress says that it is done:
the inbox knows that better.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agents.consumers.hole_reader import HoleReader
from agents.consumers.retry import with_retry
from agents.faust_support.position import Position
from rules.models import Record
from rules.progress import Hole, Progress, advanced, pieces, starting_point
from store.protocols.progress import ProgressProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

LOOK_SECONDS: Final = 1.0
#: How often in a row a partition is seen not to move before its end until that is a hole: an
#: idle agent handles what Faust has read within a fraction of a second.
QUIET_LOOKS: Final = 5

_log = get_logger(__name__)


class Handler(Protocol):
    """Stores messages, and with them how far they bring the partitions."""

    async def handle(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Return only when every record is stored or dead-lettered; raise nothing."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where progress and the log are read."""

    progress: ProgressProtocol
    log: HoleReader


class GapFiller:
    """Hands records on to a handler, and before them what was skipped."""

    def __init__(
        self,
        agent: str,
        group: str,
        position: Position,
        handler: Handler,
        sources: Sources,
        metrics: Metrics,
    ) -> None:
        self._agent = agent
        self._group = group
        self._position = position
        self._handler = handler
        self._sources = sources
        self._metrics = metrics
        #: One at a time: what the agent is given, and what is found without it.
        self._turn = asyncio.Lock()
        self._generation: int | None = None
        self._stored: dict[int, int] = {}
        self._reached: dict[int, int] = {}
        self._stalled: dict[int, tuple[int, int]] = {}

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle records as they come from the stream; returns only when all are stored."""
        async with self._turn:
            # The agent is at work: what waits behind this is not skipped.
            self._stalled.clear()
            await self._load_progress()
            reached = {record.partition: self._reach(record.partition) for record in records}
            for piece in pieces(records, reached):
                if isinstance(piece, Hole):
                    await self._fill(piece)
                else:
                    await self._hand_on(piece)

    async def run(self) -> None:
        """Look for ever after what was skipped with nothing behind it that would show it."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            asked = clock()
            async with self._turn:
                if clock() - asked > LOOK_SECONDS or not self._position.stable:
                    # A batch waited for the database, or a rebalance holds everything up.
                    self._stalled.clear()
                else:
                    await self._look()

    async def _look(self) -> None:
        await self._load_progress()
        for partition in self._position.partitions():
            reach, end = self._reach(partition), self._position.end(partition)
            if end is None or end == reach:
                self._stalled.pop(partition, None)
            elif self._is_stalled(partition, reach):
                await self._fill_tail(partition, reach, end)

    def _is_stalled(self, partition: int, reach: int) -> bool:
        before, looks = self._stalled.get(partition, (reach, 0))
        looks = looks + 1 if before == reach else 1
        self._stalled[partition] = reach, looks
        return looks >= QUIET_LOOKS

    async def _fill_tail(self, partition: int, reach: int, end: int) -> None:
        """Read what is left of a partition whose stream brings nothing more."""
        if end < reach:
            _log.warning(
                "topic made anew, its partition is read from the beginning",
                topic=self._position.topic,
                partition=partition,
                ends=end,
                stored=reach,
            )
            reach = 0
            self._reached[partition] = 0
        await self._fill(Hole(partition, reach, end))

    async def _load_progress(self) -> None:
        """Ask how far everything has come where partitions were assigned since the last time.

        What a batch from before the assignment still stores may be written after this is read.
        Then this is too low, which costs a second look and nothing else.
        """
        generation = self._position.generation
        if generation == self._generation:
            return
        self._stored = await with_retry(
            lambda: self._sources.progress.stored(self._group, self._position.topic),
            self._agent,
            self._metrics,
        )
        self._reached.clear()
        self._stalled.clear()
        self._generation = generation

    def _reach(self, partition: int) -> int:
        """Return up to where a partition is accounted for."""
        if partition not in self._reached:
            begins = self._position.begins(partition)
            self._reached[partition] = starting_point(self._stored.get(partition), begins)
        return self._reached[partition]

    async def _hand_on(self, records: Sequence[Record]) -> None:
        after = advanced(records, self._reached)
        topic = self._position.topic
        progress = [Progress(self._group, topic, *place) for place in after.items()]
        await self._handler.handle(records, progress)
        self._reached.update(after)

    async def _fill(self, hole: Hole) -> None:
        topic = self._position.topic
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
