"""The operations that a worker answers about its own part of the table, each declared once.

The worker's views, the calls to other workers and this process's own answers follow from them.
"""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Generic, Protocol
from uuid import UUID

from pydantic import TypeAdapter

from tables.entries import (
    EntryPage,
    EntryQuery,
    Holding,
    Reconciliation,
    TableEntry,
    WorkerTable,
)
from web.inspection.answers import (
    AnswerT,
    DriftPart,
    EntryPart,
    PagePart,
    TablePart,
    position,
)
from web.inspection.queries import (
    BATCH_ID,
    COMPARISON,
    NOTHING,
    PAGE,
    ComparisonInput,
    QueryForm,
    QueryT,
)

#: Where a worker answers for itself alone. It asks no others there, so no question goes in circles.
WORKER: Final = "/internal/v1/worker/tables"


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


@dataclass(frozen=True, slots=True)
class Local:
    """What this process's own answers come from."""

    table: LocalTableProtocol
    reconciler: ReconcilerProtocol


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
    local: Callable[[Local, QueryT], Awaitable[AnswerT]]
    accept: Callable[[AnswerT, QueryT], AnswerT] = _any
    status: HTTPStatus = HTTPStatus.OK


# --- this process's answers ---------------------------------------------------------------------


async def _own_table(local: Local, _query: None) -> TablePart:
    return TablePart(local.table.holding(), await local.table.table())


async def _own_page(local: Local, query: EntryQuery) -> PagePart:
    holding = local.table.holding()
    page = await local.table.pending(query)
    return PagePart(holding, page.entries, page.more)


async def _own_entry(local: Local, batch_id: UUID) -> EntryPart:
    return EntryPart(local.table.holding(), await local.table.pending_batch(batch_id))


async def _own_drift(local: Local, _query: object) -> DriftPart:
    return DriftPart(local.table.holding(), local.reconciler.last)


async def _compare(local: Local, query: ComparisonInput) -> DriftPart:
    before = await _own_drift(local, None)
    local.reconciler.request(repair=query.repair)
    return before


# --- other workers' answers ---------------------------------------------------------------------


def _reachable(part: TablePart, _query: None) -> TablePart:
    return replace(part, table=replace(part.table, worker=part.holding.worker, reachable=True))


def _as_asked(page: PagePart, query: EntryQuery) -> PagePart:
    if not _sound(page, query):
        raise NoAnswerError("answered with entries that were not asked for")
    return page


def _sound(page: PagePart, query: EntryQuery) -> bool:
    """Check the order and the size of a page: merging relies on them."""
    if len(page.entries) > query.limit or (page.more and not page.entries):
        return False
    if any(entry.confirm_by.utcoffset() is None for entry in page.entries):
        return False
    places = [position(entry) for entry in page.entries]
    if query.after is not None:
        places.insert(0, query.after)
    return all(one < other for one, other in itertools.pairwise(places))


def _of_batch(part: EntryPart, batch_id: UUID) -> EntryPart:
    if part.entry is not None and part.entry.batch_id != batch_id:
        raise NoAnswerError("answered with another batch")
    return part


# --- the operations -----------------------------------------------------------------------------

_PENDING_PATH: Final = "/pending-associations"
_DRIFT_PATH: Final = f"{_PENDING_PATH}/drift"
_TABLE_FORM, _PAGE_FORM = TypeAdapter(TablePart), TypeAdapter(PagePart)
_ENTRY_FORM, _DRIFT_FORM = TypeAdapter(EntryPart), TypeAdapter(DriftPart)

#: How much a worker has.
TABLE: Final = Operation("GET", "", NOTHING, _TABLE_FORM, _own_table, _reachable)
#: A page of its entries, soonest due first.
PENDING: Final = Operation("GET", _PENDING_PATH, PAGE, _PAGE_FORM, _own_page, _as_asked)
#: How its part differs from the database.
DRIFT: Final = Operation("GET", _DRIFT_PATH, NOTHING, _DRIFT_FORM, _own_drift)
#: Start a comparison; the answer is what was known before.
COMPARE: Final = Operation(
    "POST", _DRIFT_PATH, COMPARISON, _DRIFT_FORM, _compare, status=HTTPStatus.ACCEPTED
)
#: Its entry of a batch. None is no 404, which could as well mean that the path is missing.
BATCH: Final = Operation(
    "GET", f"{_PENDING_PATH}/{{batch_id}}", BATCH_ID, _ENTRY_FORM, _own_entry, _of_batch
)

#: In the order of their routes: a batch id may be any text.
OPERATIONS: Final[tuple[Operation[Any, Any], ...]] = (TABLE, PENDING, DRIFT, COMPARE, BATCH)
