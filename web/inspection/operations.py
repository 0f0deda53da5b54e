"""The operations on a worker's part of the table, each declared once.

The worker's views, the calls to other workers and this process's own answers use them.
"""

import itertools
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from tables.entries import EntryQuery
from web.inspection.answers import (
    DriftAnswer,
    EntryAnswer,
    PageAnswer,
    StatusAnswer,
    TableAnswer,
    position,
)
from web.inspection.parts import WORKER, LocalPart, NoAnswerError, Operation
from web.inspection.queries import BATCH_ID, COMPARISON, NOTHING, PAGE, ComparisonInput


async def _own_table(own: LocalPart, _query: None) -> TableAnswer:
    return TableAnswer(own.table.holding(), await own.table.table())


async def _own_page(own: LocalPart, query: EntryQuery) -> PageAnswer:
    holding = own.table.holding()
    page = await own.table.pending(query)
    return PageAnswer(holding, page.entries, page.more)


async def _own_entry(own: LocalPart, batch_id: UUID) -> EntryAnswer:
    return EntryAnswer(own.table.holding(), await own.table.pending_batch(batch_id))


async def _own_drift(own: LocalPart, _query: object) -> DriftAnswer:
    return DriftAnswer(own.table.holding(), own.reconciler.last)


async def _compare(own: LocalPart, query: ComparisonInput) -> DriftAnswer:
    before = await _own_drift(own, None)
    own.reconciler.request(repair=query.repair)
    return before


async def _own_status(own: LocalPart, _query: None) -> StatusAnswer:
    return StatusAnswer(own.table.holding(), await own.status())


def _reachable(part: TableAnswer, _query: None) -> TableAnswer:
    return replace(part, table=replace(part.table, worker=part.holding.worker, reachable=True))


def _as_asked(page: PageAnswer, query: EntryQuery) -> PageAnswer:
    if not _is_valid(page, query):
        raise NoAnswerError("answered with entries that were not asked for")
    return page


def _is_valid(page: PageAnswer, query: EntryQuery) -> bool:
    """Check the order and size of a page, on which merging relies."""
    if len(page.entries) > query.limit or (page.more and not page.entries):
        return False
    if any(entry.confirm_by.utcoffset() is None for entry in page.entries):
        return False
    places = [position(entry) for entry in page.entries]
    if query.after is not None:
        places.insert(0, query.after)
    return all(one < other for one, other in itertools.pairwise(places))


def _of_batch(part: EntryAnswer, batch_id: UUID) -> EntryAnswer:
    if part.entry is not None and part.entry.batch_id != batch_id:
        raise NoAnswerError("answered with another batch")
    return part


_PENDING_PATH: Final = "/pending-associations"
_DRIFT_PATH: Final = f"{_PENDING_PATH}/drift"
_TABLE_FORM, _PAGE_FORM = TypeAdapter(TableAnswer), TypeAdapter(PageAnswer)
_ENTRY_FORM, _DRIFT_FORM = TypeAdapter(EntryAnswer), TypeAdapter(DriftAnswer)
_STATUS_FORM: Final = TypeAdapter(StatusAnswer)

#: The size and state of a worker's part.
TABLE: Final = Operation("GET", "", NOTHING, _TABLE_FORM, _own_table, _reachable)
#: A page of its entries, next deadlines first.
PENDING: Final = Operation("GET", _PENDING_PATH, PAGE, _PAGE_FORM, _own_page, _as_asked)
#: How its part differs from the database.
DRIFT: Final = Operation("GET", _DRIFT_PATH, NOTHING, _DRIFT_FORM, _own_drift)
#: Start a comparison; the answer is the state before it.
COMPARE: Final = Operation(
    "POST", _DRIFT_PATH, COMPARISON, _DRIFT_FORM, _compare, status=HTTPStatus.ACCEPTED
)
#: Its entry of a batch. None is not a 404, which could also mean that the path is missing.
BATCH: Final = Operation(
    "GET", f"{_PENDING_PATH}/{{batch_id}}", BATCH_ID, _ENTRY_FORM, _own_entry, _of_batch
)
#: What it knows of itself.
STATUS: Final = Operation("GET", "/status", NOTHING, _STATUS_FORM, _own_status, base=WORKER)

#: In the order of their routes: a batch id in a path may be any text.
OPERATIONS: Final[tuple[Operation[Any, Any], ...]] = (TABLE, PENDING, DRIFT, COMPARE, BATCH, STATUS)
