"""A batch's associations and the teacher's decisions."""

from typing import ClassVar
from uuid import UUID

from aiohttp import web

from rules.inputs import DecisionsInput
from web.answers import answer
from web.calls import CALL
from web.representations import batch_json, totals_json
from web.views.base import ApiView


class StudentAssociationsView(ApiView):
    """A batch's associations."""

    view_path = "/v1/batches/{batch_id}/student-associations"
    is_large: ClassVar[bool] = True

    async def get(self, request: web.Request, batch_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        return answer(batch_json(await self.services.associations.get_batch(owner_id, batch_id)))


class ConfirmView(ApiView):
    """A teacher's decisions on a batch, applied all or none."""

    view_path = "/v1/batches/{batch_id}/student-associations/confirm"

    async def post(self, request: web.Request, batch_id: UUID) -> web.Response:
        call = request[CALL]
        decisions = call.read(DecisionsInput).resolve()
        totals = await self.services.associations.confirm(call.caller, batch_id, decisions)
        return answer(totals_json(totals))
