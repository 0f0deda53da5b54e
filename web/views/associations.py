"""A batch's associations and the teacher's decisions."""

from typing import ClassVar
from uuid import UUID

from aiohttp import web

from rules.inputs import CorrectionInput, DecisionsInput
from web.answers import answer, answer_tagged
from web.calls import CALL
from web.representations import association_json, batch_json, history_json, totals_json
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


class StudentAssociationView(ApiView):
    """The association of one essay; what was decided can be corrected."""

    view_path = "/v1/batches/{batch_id}/student-associations/{essay_id}"

    async def put(self, request: web.Request, batch_id: UUID, essay_id: UUID) -> web.Response:
        call = request[CALL]
        student_id = call.read(CorrectionInput).student_id
        associations = self.services.associations
        shown = await associations.correct(call.caller, batch_id, essay_id, student_id)
        return answer_tagged(association_json(shown))


class AssociationHistoryView(ApiView):
    """Who decided an essay, how and when; the decision that stands is the last."""

    view_path = "/v1/batches/{batch_id}/student-associations/{essay_id}/history"

    async def get(self, request: web.Request, batch_id: UUID, essay_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        past = await self.services.associations.history(owner_id, batch_id, essay_id)
        return answer(history_json(past))
