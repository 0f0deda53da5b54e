"""Gives a handler every message of its topic, even those that the stream drops.

Faust tracks in memory what it has read and may commit, and has lost messages there
(docs/guarantees.md). So each partition is accounted for by the progress that PostgreSQL stores
with the messages, and offsets that the stream skips are read from the log.

Assignments do not wait: an offset skipped before the first message after one is a hole like any
other. Nothing is dropped because progress calls it done: the inbox deduplicates.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from aiokafka import TopicPartition

from agents.consumers.hole_reader import HoleReader
from agents.consumers.retry import with_retry
from agents.kafka.retention import LostOffsets
from rules.models import Record
from rules.progress import Hole, Progress, advanced, pieces, starting_point
from store.protocols.progress import ProgressProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

LOOK_SECONDS: Final = 1.0
#: A partition that stays below its end for this many checks in a row has a hole: an idle agent
#: handles what Faust has read within a fraction of a second.
QUIET_LOOKS: Final = 5

_log = get_logger(__name__)


class Handler(Protocol):
    """Stores messages together with the progress that they make."""

    async def handle(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Return only when every record is stored or dead-lettered; raise nothing."""


class PositionProtocol(Protocol):
    """Where a stream is in its topic."""

    topic: str

    @property
    def generation(self) -> int:
        """Changes with each assignment."""

    @property
    def stable(self) -> bool:
        """Whether messages are being read, with no recovery or rebalance going on."""

    def partitions(self) -> list[int]:
        """Return the partitions that this worker owns."""

    def begins(self, partition: int) -> int | None:
        """Return where reading began after the assignment, None if unknown."""

    def end(self, partition: int) -> int | None:
        """Return where the log ended when Kafka last answered, None if unknown.

        What an open transaction has written is behind the end.
        """

    def held_back(self, partition: int) -> bool:
        """Whether reading waits until a batch that could not be decoded is fetched again."""

    def clear_to(self, partition: int, offset: int) -> int:
        """Return up to where the log is known to have no records from an offset on."""


class GapFiller:
    """Passes records to a handler, and before them those that were skipped."""

    def __init__(
        self,
        agent: str,
        group: str,
        position: PositionProtocol,
        handler: Handler,
        progress: ProgressProtocol,
        log: HoleReader,
        lost: LostOffsets,
        metrics: Metrics,
    ) -> None:
        self._agent = agent
        self._group = group
        self._position = position
        self._handler = handler
        self._progress = progress
        self._log = log
        self._lost = lost
        self._metrics = metrics
        #: The agent and the check for holes take turns.
        self._turn = asyncio.Lock()
        self._generation: int | None = None
        self._stored: dict[int, int] = {}
        self._reached: dict[int, int] = {}
        self._stalled: dict[int, tuple[int, int]] = {}
        self._made_anew = False

    def topic_made_anew(self) -> None:
        """Account for the topic from its beginning: another one has its name now.

        Its log may be longer than what was read of the old one, and then nothing else shows it.
        """
        self._made_anew = True

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle records from the stream; returns only when all are stored."""
        async with self._turn:
            # The agent is at work: records that wait behind these are not skipped.
            self._stalled.clear()
            await self._load_progress()
            reached = {record.partition: self._reach(record.partition) for record in records}
            for piece in pieces(records, reached):
                if isinstance(piece, Hole):
                    await self._fill(piece)
                else:
                    await self._pass_on(piece)

    def lag(self) -> dict[tuple[str, int], int]:
        """Return how many offsets of each partition that this worker owns are not stored yet."""
        position = self._position
        lags = {}
        for partition in position.partitions():
            reach = self._reached.get(partition, position.begins(partition))
            end = position.end(partition)
            if reach is not None and end is not None:
                lags[position.topic, partition] = max(end - position.clear_to(partition, reach), 0)
        return lags

    async def run(self) -> None:
        """Check for skipped records that no later record reveals."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            asked = clock()
            async with self._turn:
                if clock() - asked > LOOK_SECONDS or not self._position.stable:
                    # A batch waited for the database, or a rebalance is going on.
                    self._stalled.clear()
                else:
                    await self._look()

    async def _look(self) -> None:
        await self._load_progress()
        for partition in self._position.partitions():
            end = self._position.end(partition)
            # Markers of transactions may follow the last record.
            reach = self._position.clear_to(partition, self._reach(partition))
            if end is None or end == reach or self._position.held_back(partition):
                self._stalled.pop(partition, None)
            elif self._is_stalled(partition, reach):
                await self._fill_tail(partition, reach, end)

    def _is_stalled(self, partition: int, reach: int) -> bool:
        before, checks = self._stalled.get(partition, (reach, 0))
        checks = checks + 1 if before == reach else 1
        self._stalled[partition] = reach, checks
        return checks >= QUIET_LOOKS

    async def _fill_tail(self, partition: int, reach: int, end: int) -> None:
        """Read the rest of a partition whose stream delivers nothing more."""
        if end < reach:
            _log.warning(
                "topic made anew, its partition is read from the beginning",
                topic=self._position.topic,
                partition=partition,
                ends=end,
                stored=reach,
            )
            reach = self._reached[partition] = self._stored[partition] = 0
        await self._fill(Hole(partition, reach, end))

    async def _load_progress(self) -> None:
        """Read the stored progress after an assignment.

        A batch from before the assignment may still be stored after this. Then the progress read
        here is too low, which only costs a second look.
        """
        generation = self._position.generation
        if self._made_anew:
            self._made_anew = False
            await self._forget_progress()
        elif generation == self._generation:
            return
        self._stored = await with_retry(
            lambda: self._progress.stored(self._group, self._position.topic),
            self._agent,
            self._metrics,
        )
        self._reached.clear()
        self._stalled.clear()
        self._generation = generation

    async def _forget_progress(self) -> None:
        """Store that nothing is accounted for, for the workers of later assignments, too."""
        await with_retry(
            lambda: self._progress.forget(self._group, self._position.topic),
            self._agent,
            self._metrics,
        )

    def _reach(self, partition: int) -> int:
        """Return the offset below which a partition is accounted for."""
        if partition not in self._reached:
            begins = self._position.begins(partition)
            self._reached[partition] = starting_point(self._stored.get(partition), begins)
        return self._reached[partition]

    async def _pass_on(self, records: Sequence[Record]) -> None:
        after = advanced(records, self._reached)
        topic = self._position.topic
        progress = [Progress(self._group, topic, *place) for place in after.items()]
        await self._handler.handle(records, progress)
        self._reached.update(after)

    async def _fill(self, hole: Hole) -> None:
        topic = self._position.topic
        reread = await self._log.read(topic, hole, self._pass_on)
        if reread.lost:
            await self._report_lost(hole, reread.lost)
        self._reached[hole.partition] = max(self._reached[hole.partition], hole.end)
        content = "messages" if reread.found else "nothing"
        self._metrics.holes.labels(self._agent, content).inc()
        (_log.warning if reread.found else _log.info)(
            "skipped by the stream and read again",
            topic=topic,
            partition=hole.partition,
            begin=hole.begin,
            end=hole.end,
            found=reread.found,
        )

    async def _report_lost(self, hole: Hole, deleted: Sequence[Hole]) -> None:
        """Tell of what was deleted unread, once: how far the partition is accounted for is stored.

        Kafka's offset may be lower than the progress. Before a group's first start nothing is lost.
        """
        topic, partition = self._position.topic, hole.partition
        stored = self._stored.get(partition, 0)
        for some in deleted:
            begin = max(some.begin, stored)
            if begin < some.end and (begin or self._stored):
                self._lost.report(TopicPartition(topic, partition), begin, some.end)
        if hole.end > stored:
            await self._handler.handle([], [Progress(self._group, topic, partition, hole.end)])
