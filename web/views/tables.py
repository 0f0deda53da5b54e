"""Inspection of the stream tables, over all workers."""

from dataclasses import asdict, fields
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID

from aiohttp import web

from rules.errors import BatchNotFoundError
from tables.entries import Reconciliation
from web.answers import answer
from web.calls import CALL
from web.identity import Access
from web.inspection.merge import Drift, merge_drift, merge_tables, merged_page
from web.inspection.operations import BATCH, COMPARE, DRIFT, PENDING, TABLE
from web.parameters import write_cursor
from web.representations import batch_state_json
from web.views.base import ApiView

TABLES: Final = "/internal/v1/tables"

_FIGURES: Final = tuple(field.name for field in fields(Reconciliation))


class TablesView(ApiView):
    """The stream tables: where each lives and how much is in it."""

    view_path = f"{TABLES}{TABLE.path}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        answers = await self.services.tables.ask(TABLE, None, request[CALL].trace)
        return answer({"tables": [merge_tables(answers)]})


class PendingBatchesView(ApiView):
    """The table of pending associations in pages, next deadlines first."""

    view_path = f"{TABLES}{PENDING.path}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        query = PENDING.query.read(request)
        answers = await self.services.tables.ask(PENDING, query, request[CALL].trace)
        page = merged_page(answers, query.limit)
        return answer(
            {
                "entries": page.entries,
                "next_cursor": write_cursor(page.next) if page.next else None,
                "complete": page.complete,
            }
        )


class DriftView(ApiView):
    """The workers' last comparisons of the table with the database; POST also starts new ones."""

    view_path = f"{TABLES}{DRIFT.path}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        answers = await self.services.tables.ask(DRIFT, None, request[CALL].trace)
        return answer(_drift_json(merge_drift(answers)))

    async def post(self, request: web.Request) -> web.Response:
        query = COMPARE.query.read(request)
        before = await self.services.tables.ask(COMPARE, query, request[CALL].trace)
        return answer(_drift_json(merge_drift(before)), status=HTTPStatus.ACCEPTED)


class PendingBatchView(ApiView):
    """An entry of the table of pending associations, and the batch's state in the database."""

    view_path = f"{TABLES}{BATCH.path}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request, batch_id: UUID) -> web.Response:
        entry = await self.services.tables.entry(batch_id, request[CALL].trace)
        if entry is None:
            raise BatchNotFoundError("The table has no such batch.")
        states = await self.services.timers.batch_states([batch_id])
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
