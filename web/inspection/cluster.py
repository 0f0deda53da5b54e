"""Answers for all workers: asks each at once, and makes do with those that answer in time."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from uuid import UUID

from rules.models import Trace
from store.protocols.workers import WorkerRecord
from tables.entries import EntryQuery, Reconciliation, TableEntry, TableReport, WorkerTable
from tables.names import PENDING_ASSOCIATIONS
from telemetry.logs import get_logger
from web.errors import WorkersUnreachableError
from web.inspection.merge import MergedPage, covered, merge_pages
from web.inspection.parts import DriftPart, EntryPart, Part
from web.inspection.peers import AnswerPart, NoAnswerError, PeerClient, RemotePart

PartT = TypeVar("PartT", bound=AnswerPart)

#: How much of the time for an answer the workers get. The rest is for merging, and for a look
#: into the database.
SHARE_OF_TIME: Final = 0.55
MAX_EXAMPLES: Final = 10

_log: Final = get_logger(__name__)


class PeersProtocol(Protocol):
    """Knows the other workers."""

    def peers(self) -> Sequence[WorkerRecord]:
        """Return them, without waiting."""


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How the table is divided: into how many partitions, and in which one a batch is."""

    count: int
    of: Callable[[UUID], int]


@dataclass(frozen=True, slots=True)
class WorkerDrift:
    """How one worker's part differs from the database; `last` is None where it has not looked."""

    worker: str
    reachable: bool
    last: Reconciliation | None


@dataclass(frozen=True, slots=True)
class Drift:
    """How the table differs from the database.

    `complete` is False where a worker did not answer or has never compared.
    """

    complete: bool
    workers: Sequence[WorkerDrift]

    @property
    def examples(self) -> Sequence[UUID]:
        """Some of the batches that differ."""
        found = (one for worker in self.workers if worker.last for one in worker.last.examples)
        return list(dict.fromkeys(found))[:MAX_EXAMPLES]


class Cluster:
    """All workers, this one among them where it holds partitions (`local`)."""

    def __init__(
        self,
        local: Part | None,
        peers: PeersProtocol,
        client: PeerClient,
        partitioning: Partitioning,
        timeout_seconds: float,
    ) -> None:
        """`timeout_seconds` is how long a whole request may take."""
        self._local = local
        self._peers = peers
        self._client = client
        self._partitioning = partitioning
        self._seconds = timeout_seconds * SHARE_OF_TIME

    async def tables(self, trace: Trace) -> Sequence[TableReport]:
        """Return every table, with all of its workers."""
        answers = await self._gather(trace, lambda part: part.table())
        workers = [answer.table if answer else _silent(part) for part, answer in answers]
        entries = sum(worker.entries for worker in workers)
        return [
            TableReport(
                PENDING_ASSOCIATIONS,
                entries,
                self._partitioning.count,
                self._complete(answer for _, answer in answers),
                workers,
            )
        ]

    async def pending(self, query: EntryQuery, trace: Trace) -> MergedPage:
        """Return a page of entries, soonest due first."""
        answers = [answer for _, answer in await self._gather(trace, lambda p: p.pending(query))]
        pages = [answer for answer in answers if answer]
        entries, following = merge_pages(pages, query.limit)
        return MergedPage(entries, following, self._complete(answers))

    async def pending_batch(self, batch_id: UUID, trace: Trace) -> TableEntry | None:
        """Return one entry, None where there is none; waits for nobody once that is certain.

        Raises WorkersUnreachableError where whoever holds its partition does not answer.
        """
        partition = self._partitioning.of(batch_id)
        found: TableEntry | None = None
        asked = self._answers(self._parts(trace), lambda part: part.pending_batch(batch_id))
        async with contextlib.aclosing(asked) as answers:
            async for _, answer in answers:
                if _decides(answer, partition):
                    return answer.entry
                found = found or answer.entry
        if found is None:
            raise WorkersUnreachableError
        return found

    async def drift(self, trace: Trace) -> Drift:
        """Return how the table differs from the database, as it was found last."""
        return self._drift(await self._gather(trace, lambda part: part.drift()))

    async def compare(self, trace: Trace, *, repair: bool) -> Drift:
        """Have every worker compare anew; return what was known before."""
        return self._drift(await self._gather(trace, lambda part: part.compare(repair=repair)))

    def _drift(self, answers: Sequence[tuple[Part, DriftPart | None]]) -> Drift:
        workers = [
            WorkerDrift(part.worker, answer is not None, answer.last if answer else None)
            for part, answer in answers
        ]
        complete = self._complete(answer for _, answer in answers)
        return Drift(complete and all(worker.last for worker in workers), workers)

    def _complete(self, answers: Iterable[AnswerPart | None]) -> bool:
        told = list(answers)
        holdings = [answer.holding for answer in told if answer]
        return len(holdings) == len(told) and covered(holdings, self._partitioning.count)

    def _parts(self, trace: Trace) -> list[Part]:
        parts: list[Part] = [
            RemotePart(record, self._client, trace) for record in self._peers.peers()
        ]
        if self._local is not None:
            own = self._local.worker
            parts = [self._local, *(part for part in parts if part.worker != own)]
        return sorted(parts, key=lambda part: part.worker)

    async def _gather(
        self, trace: Trace, ask: Callable[[Part], Awaitable[PartT]]
    ) -> list[tuple[Part, PartT | None]]:
        """Ask everybody; None stands for who does not answer in time, or not as it should."""
        parts = self._parts(trace)
        found = {part.worker: answer async for part, answer in self._answers(parts, ask)}
        return [(part, found.get(part.worker)) for part in parts]

    async def _answers(
        self, parts: Sequence[Part], ask: Callable[[Part], Awaitable[PartT]]
    ) -> AsyncGenerator[tuple[Part, PartT], None]:
        """Ask at once; yield the answers as they come, until the time is up."""
        asked = {asyncio.ensure_future(_attempt(part, ask)): part for part in parts}
        waiting = set(asked)
        deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            while waiting:
                left = deadline - asyncio.get_running_loop().time()
                done, waiting = await asyncio.wait(
                    waiting, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                for task in done:
                    answer = None if task.cancelled() else task.result()
                    if answer is not None:
                        yield asked[task], answer
            for task in waiting:
                _log.warning(
                    "worker does not answer",
                    worker=asked[task].worker,
                    reason=f"nothing within {self._seconds:.2f} s",
                )
        finally:
            for task in waiting:
                task.cancel()


async def _attempt(part: Part, ask: Callable[[Part], Awaitable[PartT]]) -> PartT | None:
    try:
        return await ask(part)
    except NoAnswerError as error:
        _log.warning("worker does not answer", worker=part.worker, reason=str(error))
    except Exception as error:  # noqa: BLE001  # the others are shown all the same
        _log.error("worker cannot be asked", worker=part.worker, exc_info=error)
    return None


def _decides(answer: EntryPart, partition: int) -> bool:
    """Tell whether what this worker says of a batch is the last word: it has its partition."""
    return answer.holding.recovered and partition in answer.holding.partitions


def _silent(part: Part) -> WorkerTable:
    """Return what is known of a worker that does not answer; the figures are not."""
    return WorkerTable(
        part.worker, part.partitions, 0, recovered=False, changelog_lag=0, reachable=False
    )


def totals(drift: Drift) -> dict[str, int]:
    """Return what all workers found together."""
    found = [worker.last for worker in drift.workers if worker.last]
    names = ("checked", "missing", "stale", "different", "mended")
    return {name: sum(getattr(one, name) for one in found) for name in names}
