"""Inspection of the stream tables, over all workers."""

from dataclasses import asdict, fields
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID

from aiohttp import web
from multidict import MultiMapping

from rules.errors import BatchNotFoundError
from rules.inputs import Input
from tables.entries import Reconciliation
from web.answers import answer
from web.calls import CALL
from web.identity import Access
from web.inspection.cluster import totals
from web.parameters import (
    optional_identifier,
    optional_instant,
    page_size,
    read_cursor,
    write_cursor,
)
from web.representations import batch_state_json
from web.services import Drift, EntryQuery
from web.views.base import ApiView

DEFAULT_PAGE: Final = 100

_FIGURES: Final = tuple(field.name for field in fields(Reconciliation))


class DriftInput(Input):
    """Body of a request to compare; `repair` also mends what differs."""

    repair: bool


class TablesView(ApiView):
    """The stream tables."""

    view_path = "/internal/v1/tables"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        """Return where each of them lives, and how much is in it."""
        return answer({"tables": await self.services.tables.tables(request[CALL].trace)})


class PendingBatchesView(ApiView):
    """The table of pending associations."""

    view_path = "/internal/v1/tables/pending-associations"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        """Return a page of it, what falls due soonest first."""
        query = read_query(request.query)
        page = await self.services.tables.pending(query, request[CALL].trace)
        return answer(
            {
                "entries": page.entries,
                "next_cursor": write_cursor(page.next) if page.next else None,
                "complete": page.complete,
            }
        )


class DriftView(ApiView):
    """How the table of pending associations differs from the database."""

    view_path = "/internal/v1/tables/pending-associations/drift"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        """Return what the workers found when they compared last."""
        return answer(_drift_json(await self.services.tables.drift(request[CALL].trace)))

    async def post(self, request: web.Request) -> web.Response:
        """Have all workers compare; return what they found before."""
        call = request[CALL]
        repair = call.read(DriftInput).repair
        before = await self.services.tables.compare(call.trace, repair=repair)
        return answer(_drift_json(before), status=HTTPStatus.ACCEPTED)


class PendingBatchView(ApiView):
    """An entry of the table of pending associations."""

    view_path = "/internal/v1/tables/pending-associations/{batch_id}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request, batch_id: UUID) -> web.Response:
        """Return it beside what the database says."""
        entry = await self.services.tables.pending_batch(batch_id, request[CALL].trace)
        if entry is None:
            raise BatchNotFoundError("The table has no such batch.")
        states = await self.services.timers.batch_states([batch_id])
        state = states[0] if states else None
        return answer({**asdict(entry), "database": batch_state_json(state)})


def read_query(query: MultiMapping[str]) -> EntryQuery:
    """Return which entries are asked for. Raises ValidationFailedError."""
    return EntryQuery(
        limit=page_size(query, DEFAULT_PAGE),
        after=read_cursor(query),
        class_id=optional_identifier(query, "class_id"),
        due_before=optional_instant(query, "due_before"),
    )


def _drift_json(drift: Drift) -> dict[str, Any]:
    return {
        "complete": drift.complete,
        "running": any(one.last.running for one in drift.workers if one.last),
        **totals(drift),
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
