"""The workers' parts of the table, and the operations on them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, Protocol

from pydantic import TypeAdapter

from tables.entries import Reconciliation
from tables.inspection import TableInspector
from telemetry.status import Status
from web.inspection.answers import AnswerT
from web.inspection.queries import QueryForm, QueryT

#: Here a worker answers for itself. It asks no others, so requests cannot go in circles.
WORKER: Final = "/internal/v1/worker"


class NoAnswerError(Exception):
    """A worker cannot be reached, or its answer is unusable; the message says which."""


class UnknownPathError(NoAnswerError):
    """A worker is of a version that does not know the path."""


class ReconcilerProtocol(Protocol):
    """Compares this process's part of the table with the database."""

    @property
    def last(self) -> Reconciliation | None:
        """The running comparison, else the last one."""

    def request(self, *, repair: bool) -> None:
        """Request a comparison; returns at once."""


def _any(answer: AnswerT, _query: object) -> AnswerT:
    return answer


@dataclass(frozen=True, slots=True)
class Operation(Generic[QueryT, AnswerT]):
    """An operation on a worker's part of the table; `path` is relative to `base`.

    `local` answers in this process. `accept` checks another worker's answer and returns it; raises
    NoAnswerError if it does not fit the query.
    """

    method: str
    path: str
    query: QueryForm[QueryT]
    answer: TypeAdapter[AnswerT]
    local: Callable[["LocalPart", QueryT], Awaitable[AnswerT]]
    accept: Callable[[AnswerT, QueryT], AnswerT] = _any
    status: HTTPStatus = HTTPStatus.OK
    base: str = f"{WORKER}/tables"

    @property
    def own_path(self) -> str:
        """The path at which a worker answers for itself."""
        return f"{self.base}{self.path}"


class Part(Protocol):
    """A worker's part of the table."""

    @property
    def worker(self) -> str:
        """Its name."""

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it is known to hold."""

    async def ask(self, operation: Operation[QueryT, AnswerT], query: QueryT) -> AnswerT:
        """Return its answer. May raise anything and take any time."""


@dataclass(frozen=True, slots=True)
class LocalPart:
    """The part of this process."""

    table: TableInspector
    reconciler: ReconcilerProtocol
    status: Callable[[], Awaitable[Status]]

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
