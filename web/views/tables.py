"""Inspection of the stream tables."""

from dataclasses import asdict
from typing import ClassVar
from uuid import UUID

from aiohttp import web

from rules.errors import BatchNotFoundError
from web.answers import answer
from web.identity import Access
from web.parameters import (
    optional_identifier,
    optional_instant,
    page_size,
    read_cursor,
    write_cursor,
)
from web.representations import batch_state_json
from web.services import EntryPage, EntryQuery
from web.views.base import ApiView


class TablesView(ApiView):
    """The stream tables."""

    view_path = "/internal/v1/tables"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, _request: web.Request) -> web.Response:
        """Return where each of them lives, and how much is in it."""
        return answer({"tables": await self.services.tables.tables()})


class PendingBatchesView(ApiView):
    """The table of pending associations."""

    view_path = "/internal/v1/tables/pending-associations"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, request: web.Request) -> web.Response:
        """Return a page of it, what falls due soonest first."""
        query = EntryQuery(
            limit=page_size(request.query, 100),
            after=read_cursor(request.query),
            class_id=optional_identifier(request.query, "class_id"),
            due_before=optional_instant(request.query, "due_before"),
        )
        page = await self.services.tables.pending(query)
        return answer(
            {
                "entries": page.entries,
                "next_cursor": _next_cursor(page),
                "complete": page.complete,
            }
        )


class PendingBatchView(ApiView):
    """An entry of the table of pending associations."""

    view_path = "/internal/v1/tables/pending-associations/{batch_id}"
    access: ClassVar[Access] = Access.SERVICE

    async def get(self, _request: web.Request, batch_id: UUID) -> web.Response:
        """Return it beside what the database says."""
        entry = await self.services.tables.pending_batch(batch_id)
        if entry is None:
            raise BatchNotFoundError("The table has no such batch.")
        states = await self.services.associations.batch_states([batch_id])
        state = states[0] if states else None
        return answer({**asdict(entry), "database": batch_state_json(state)})


def _next_cursor(page: EntryPage) -> str | None:
    if not page.more or not page.entries:
        return None
    last = page.entries[-1]
    return write_cursor((last.confirm_by, last.batch_id))
