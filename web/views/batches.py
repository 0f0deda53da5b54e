"""A teacher's batches."""

from typing import Final
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.batches import BatchPlace, BatchQuery, BatchState
from web.answers import answer
from web.calls import CALL
from web.cursors import Instant, decode, encode
from web.parameters import chosen, optional_identifier, page_size
from web.representations import batch_summary_json, pagination_json
from web.views.base import ApiView

_PLACE: Final = TypeAdapter(tuple[BatchState, Instant, UUID])


class BatchesView(ApiView):
    """The caller's batches: what waits, soonest deadline first, then what is closed."""

    view_path = "/v1/batches"

    async def get(self, request: web.Request) -> web.Response:
        after = decode(request.query, _PLACE)
        query = BatchQuery(
            limit=page_size(request.query, 20),
            after=after and BatchPlace(*after),
            states=chosen(request.query, "state", BatchState),
            class_id=optional_identifier(request.query, "class_id"),
        )
        owner_id = request[CALL].caller.user_id
        page = await self.services.associations.list_batches(owner_id, query)
        cursor = encode(page.batches[-1].place) if page.more else None
        return answer(
            {
                "batches": [batch_summary_json(batch) for batch in page.batches],
                "server_time": page.now,
                "pagination": pagination_json(query.limit, len(page.batches), cursor),
            }
        )
