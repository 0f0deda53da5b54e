"""Answers for all workers: asks all at once, and uses the answers that arrive in time."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final
from uuid import UUID

from rules.models import Trace
from store.protocols.workers import WorkerRecord
from tables.entries import TableEntry
from tables.partitioning import Partitioning
from telemetry.logs import get_logger
from web.errors import WorkersUnreachableError
from web.inspection.answers import AnswerT, EntryAnswer
from web.inspection.merge import Answers, WorkerAnswer
from web.inspection.operations import BATCH
from web.inspection.parts import NoAnswerError, Operation, Part, UnknownPathError
from web.inspection.peers import PeerClient, RemotePart
from web.inspection.queries import QueryT

#: The workers' share of the time for an answer; the rest is for merging and a database query.
SHARE_OF_TIME: Final = 0.55

_log: Final = get_logger(__name__)


class Cluster:
    """All workers, including this one if it holds partitions (`local`)."""

    def __init__(
        self,
        local: Part | None,
        peers: Callable[[], Sequence[WorkerRecord]],
        client: PeerClient,
        partitioning: Partitioning,
        timeout_seconds: float,
    ) -> None:
        """`peers` returns the other workers; a whole request may take `timeout_seconds`."""
        self._local = local
        self._peers = peers
        self._client = client
        self._partitioning = partitioning
        self._seconds = timeout_seconds * SHARE_OF_TIME

    async def ask(
        self, operation: Operation[QueryT, AnswerT], query: QueryT, trace: Trace
    ) -> Answers[AnswerT]:
        """Ask every worker; leave out those without a valid answer in time."""
        parts, older = self._parts(trace), set[str]()
        found = {
            part.worker: answer
            async for part, answer in self._answers(parts, operation, query, older)
        }
        workers = [
            WorkerAnswer(p.worker, p.partitions, found.get(p.worker), p.worker in older)
            for p in parts
        ]
        return Answers(workers, self._partitioning.count)

    async def entry(self, batch_id: UUID, trace: Trace) -> TableEntry | None:
        """Return one entry, None if there is none, as soon as that is certain.

        Raises WorkersUnreachableError if the worker that holds its partition does not answer.
        """
        partition = self._partitioning.of(batch_id)
        found: TableEntry | None = None
        asked = self._answers(self._parts(trace), BATCH, batch_id, set())
        async with contextlib.aclosing(asked) as answers:
            async for _, answer in answers:
                if _is_final(answer, partition):
                    return answer.entry
                found = found or answer.entry
        if found is None:
            raise WorkersUnreachableError
        return found

    def _parts(self, trace: Trace) -> list[Part]:
        parts: list[Part] = [RemotePart(record, self._client, trace) for record in self._peers()]
        if self._local is not None:
            own = self._local.worker
            parts = [self._local, *(part for part in parts if part.worker != own)]
        return sorted(parts, key=lambda part: part.worker)

    async def _answers(
        self,
        parts: Sequence[Part],
        operation: Operation[QueryT, AnswerT],
        query: QueryT,
        older: set[str],
    ) -> AsyncGenerator[tuple[Part, AnswerT], None]:
        """Ask all at once; yield answers as they arrive, until the time is up.

        The workers that do not know the question are noted in `older`.
        """
        asked = {
            asyncio.ensure_future(_attempt(part, operation, query, older)): part for part in parts
        }
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


async def _attempt(
    part: Part, operation: Operation[QueryT, AnswerT], query: QueryT, older: set[str]
) -> AnswerT | None:
    try:
        return await part.ask(operation, query)
    except UnknownPathError:
        older.add(part.worker)
        _log.info("worker of another version", worker=part.worker)
    except NoAnswerError as error:
        _log.warning("worker does not answer", worker=part.worker, reason=str(error))
    except Exception as error:  # noqa: BLE001  # the other workers are still shown
        _log.error("worker cannot be asked", worker=part.worker, exc_info=error)
    return None


def _is_final(answer: EntryAnswer, partition: int) -> bool:
    """Whether the worker has the whole partition."""
    return answer.holding.recovered and partition in answer.holding.partitions
