"""A teacher's batches."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.batches import BatchPage as Page
from rules.batches import BatchPlace, BatchQuery, BatchState
from rules.documents import pagination_json
from web.answers import answer
from web.calls import Call
from web.cursors import Instant, decode, encode
from web.identity import Access
from web.operations import Answer, Operation, Parameter, Tag
from web.parameters import chosen, optional_identifier, page_size
from web.queries import CLASS_ID, CURSOR, limit
from web.representations import batch_summary_json
from web.schemas.batches import BatchPage
from web.services import WebServices

BATCHES: Final = "/v1/batches"

_PLACE: Final = TypeAdapter(tuple[BatchState, Instant, UUID])


async def list_batches(services: WebServices, call: Call) -> web.Response:
    """Answer a page of the caller's batches."""
    query = batch_query(call)
    page = await services.associations.list_batches(call.user, query)
    return answer(
        {
            "batches": [batch_summary_json(batch) for batch in page.batches],
            "server_time": page.now,
            "pagination": pagination_json(query.limit, len(page.batches), next_batches(page)),
        }
    )


def batch_query(call: Call) -> BatchQuery:
    """Read which page of batches is wanted. Raises ValidationFailedError."""
    after = decode(call.query, _PLACE)
    return BatchQuery(
        limit=page_size(call.query, 20),
        after=after and BatchPlace(*after),
        states=chosen(call.query, "state", BatchState),
        class_id=optional_identifier(call.query, "class_id"),
    )


def next_batches(page: Page) -> str | None:
    """Return the cursor of the page that follows, None if none does."""
    return encode(page.batches[-1].place) if page.more else None


OPERATIONS: Final = (
    Operation(
        "GET",
        BATCHES,
        "listBatches",
        "List your batches",
        Tag.BATCHES,
        list_batches,
        {
            HTTPStatus.OK: Answer(
                "Pending batches, soonest `confirm_by` first; then closed ones, latest first.",
                BatchPage,
            )
        },
        access=Access.USER,
        parameters=(
            Parameter(
                "state",
                {"type": "array", "items": {"type": "string", "enum": [*BatchState]}},
                "Only those in these states, comma separated; absent: all.",
            ),
            CLASS_ID,
            limit(20),
            CURSOR,
        ),
    ),
)
