"""Inspection of the stream tables, over all workers."""

from dataclasses import asdict, fields
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from rules.errors import BatchNotFoundError
from tables.entries import Reconciliation
from web.answers import answer
from web.calls import Call
from web.identity import Access
from web.inspection.merge import Drift, merge_drift, merge_tables, merged_page
from web.inspection.operations import BATCH, COMPARE, DRIFT, PENDING, TABLE
from web.inspection.queries import DEFAULT_PAGE, ComparisonInput, write_place
from web.operations import Answer, Operation, Parameter, Tag
from web.queries import CLASS_ID, CURSOR, limit
from web.representations import batch_state_json
from web.schemas import tables as schemas
from web.services import WebServices

TABLES: Final = "/internal/v1/tables"

_FIGURES: Final = tuple(field.name for field in fields(Reconciliation))


async def list_tables(services: WebServices, call: Call) -> web.Response:
    """Answer where each table lives and how much is in it."""
    answers = await services.tables.ask(TABLE, None, call.trace)
    return answer({"tables": [merge_tables(answers)]})


async def list_pending(services: WebServices, call: Call) -> web.Response:
    """Answer the table of pending associations in pages, next deadlines first."""
    query = PENDING.query.read(call)
    answers = await services.tables.ask(PENDING, query, call.trace)
    page = merged_page(answers, query.limit)
    return answer(
        {
            "entries": page.entries,
            "next_cursor": write_place(page.next) if page.next else None,
            "complete": page.complete,
        }
    )


async def get_drift(services: WebServices, call: Call) -> web.Response:
    """Answer the workers' last comparisons of the table with the database."""
    answers = await services.tables.ask(DRIFT, None, call.trace)
    return answer(_drift_json(merge_drift(answers)))


async def compare(services: WebServices, call: Call) -> web.Response:
    """Start new comparisons; answer the last ones."""
    query = COMPARE.query.read(call)
    before = await services.tables.ask(COMPARE, query, call.trace)
    return answer(_drift_json(merge_drift(before)), status=HTTPStatus.ACCEPTED)


async def get_pending(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Answer an entry of the table, and the batch's state in the database."""
    entry = await services.tables.entry(batch_id, call.trace)
    if entry is None:
        raise BatchNotFoundError("The table has no such batch.")
    states = await services.timers.batch_states([batch_id])
    state = states[0] if states else None
    return answer({**asdict(entry), "database": batch_state_json(state)})


def _drift_json(drift: Drift) -> dict[str, Any]:
    return {
        "complete": drift.complete,
        "running": any(one.running for one in drift.comparisons),
        **drift.totals,
        "examples": drift.examples,
        "workers": [
            {
                "worker": one.worker,
                "reachable": one.reachable,
                **{name: getattr(one.last, name, None) for name in _FIGURES},
            }
            for one in drift.workers
        ],
    }


#: Of a page of entries.
PAGE_PARAMETERS: Final = (
    limit(DEFAULT_PAGE),
    CURSOR,
    CLASS_ID,
    Parameter(
        "due_before",
        {"type": "string", "format": "date-time"},
        "Only those whose `confirm_by` is earlier.",
    ),
)

OPERATIONS: Final = (
    Operation(
        "GET",
        f"{TABLES}{TABLE.path}",
        "listTables",
        "Get where the stream tables live",
        Tag.TABLES,
        list_tables,
        {HTTPStatus.OK: Answer("Over all workers.", schemas.Tables)},
        access=Access.SERVICE,
    ),
    Operation(
        "GET",
        f"{TABLES}{PENDING.path}",
        "listPendingBatches",
        "List what is in the table of pending associations",
        Tag.TABLES,
        list_pending,
        {HTTPStatus.OK: Answer("Soonest `confirm_by` first.", schemas.EntryPage)},
        access=Access.SERVICE,
        parameters=PAGE_PARAMETERS,
    ),
    Operation(
        "GET",
        f"{TABLES}{DRIFT.path}",
        "getDrift",
        "Get how the table differs from the database",
        Tag.TABLES,
        get_drift,
        {HTTPStatus.OK: Answer("What the workers found when they compared last.", schemas.Drift)},
        access=Access.SERVICE,
    ),
    Operation(
        "POST",
        f"{TABLES}{COMPARE.path}",
        "compareTables",
        "Have the workers compare, and repair what differs if asked",
        Tag.TABLES,
        compare,
        {HTTPStatus.ACCEPTED: Answer("They have begun; this is what was before.", schemas.Drift)},
        access=Access.SERVICE,
        body=ComparisonInput,
    ),
    Operation(
        "GET",
        f"{TABLES}{BATCH.path}",
        "getPendingBatch",
        "Get a batch's entry in the table",
        Tag.TABLES,
        get_pending,
        {HTTPStatus.OK: Answer("With its state in the database.", schemas.EntryInDetail)},
        access=Access.SERVICE,
        errors=(BatchNotFoundError,),
    ),
)
