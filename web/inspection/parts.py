"""The workers that can be asked, and what an operation on their parts of the table is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, Protocol
from uuid import UUID

from pydantic import TypeAdapter

from tables.entries import EntryPage, EntryQuery, Holding, Reconciliation, TableEntry, WorkerTable
from web.inspection.answers import AnswerT
from web.inspection.queries import QueryForm, QueryT


class NoAnswerError(Exception):
    """A worker cannot be reached, or its answer is unusable; the message says which."""


class LocalTableProtocol(Protocol):
    """Reads this process's part of the table."""

    def holding(self) -> Holding:
        """Return what this process holds."""

    async def table(self) -> WorkerTable:
        """Return how much this process has."""

    async def pending(self, query: EntryQuery) -> EntryPage:
        """Return entries by ascending (`confirm_by`, `batch_id`)."""

    async def pending_batch(self, batch_id: UUID) -> TableEntry | None:
        """Return one entry."""


class ReconcilerProtocol(Protocol):
    """Compares this process's part of the table with the database."""

    @property
    def last(self) -> Reconciliation | None:
        """The comparison that runs, or else the last one."""

    def request(self, *, repair: bool) -> None:
        """Have one start soon; returns at once."""


def _any(answer: AnswerT, _query: object) -> AnswerT:
    return answer


@dataclass(frozen=True, slots=True)
class Operation(Generic[QueryT, AnswerT]):
    """A question about a worker's part of the table; `path` is relative to the table's.

    `local` answers it in this process. `accept` returns another worker's answer; it raises
    NoAnswerError for one that does not fit the query.
    """

    method: str
    path: str
    query: QueryForm[QueryT]
    answer: TypeAdapter[AnswerT]
    local: Callable[["LocalPart", QueryT], Awaitable[AnswerT]]
    accept: Callable[[AnswerT, QueryT], AnswerT] = _any
    status: HTTPStatus = HTTPStatus.OK


class Part(Protocol):
    """A worker's part of the table."""

    @property
    def worker(self) -> str:
        """Its name."""

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it is known to hold, though it may not answer."""

    async def ask(self, operation: Operation[QueryT, AnswerT], query: QueryT) -> AnswerT:
        """Return its answer. May fail in any way, and take any time."""


@dataclass(frozen=True, slots=True)
class LocalPart:
    """The part of this process itself."""

    table: LocalTableProtocol
    reconciler: ReconcilerProtocol

    @property
    def worker(self) -> str:
        """The name of this worker."""
        return self.table.holding().worker

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it holds."""
        return self.table.holding().partitions

    async def ask(self, operation: Operation[QueryT, AnswerT], query: QueryT) -> AnswerT:
        """Return this process's answer."""
        return await operation.local(self, query)
