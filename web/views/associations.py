"""A batch's associations and the teacher's decisions."""

from typing import ClassVar, Final
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.batches import Page, Place
from rules.inputs import CorrectionInput, DecisionsInput
from rules.models import AssociationView
from web.answers import answer, answer_tagged, written
from web.calls import CALL
from web.cursors import Instant, decode, encode
from web.parameters import NOT_GIVEN, optional_page_size, refused
from web.representations import (
    association_json,
    batch_json,
    history_json,
    pagination_json,
    totals_json,
)
from web.views.base import ApiView

#: With its batch: a place in another batch's list would be one here, too.
_PLACE: Final = TypeAdapter(tuple[UUID, Instant, UUID])


class StudentAssociationsView(ApiView):
    """A batch's associations, oldest first."""

    view_path = "/v1/batches/{batch_id}/student-associations"
    is_large: ClassVar[bool] = True

    async def get(self, request: web.Request, batch_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        page = Page(optional_page_size(request.query), _after(request, batch_id))
        batch = await self.services.associations.get_batch(owner_id, batch_id, page)
        shown = batch.associations
        cursor = encode((batch_id, *_place(shown[-1]))) if batch.more else None
        pagination = pagination_json(page.limit, len(shown), cursor)
        associations = await written(association_json(view) for view in shown)
        body = batch_json(batch, associations, pagination)
        return await answer_tagged(body, {"server_time": batch.now})


class ConfirmView(ApiView):
    """A teacher's decisions on a batch, applied all or none."""

    view_path = "/v1/batches/{batch_id}/student-associations/confirm"

    async def post(self, request: web.Request, batch_id: UUID) -> web.Response:
        call = request[CALL]
        given = call.read(DecisionsInput)
        totals = await self.services.associations.confirm(
            call.caller, batch_id, given.resolve(), given.min_confidence
        )
        return answer(totals_json(totals))


class StudentAssociationView(ApiView):
    """The association of one essay; what was decided can be corrected."""

    view_path = "/v1/batches/{batch_id}/student-associations/{essay_id}"

    async def get(self, request: web.Request, batch_id: UUID, essay_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        view = await self.services.associations.get_association(owner_id, batch_id, essay_id)
        return await answer_tagged(association_json(view))

    async def put(self, request: web.Request, batch_id: UUID, essay_id: UUID) -> web.Response:
        call = request[CALL]
        student_id = call.read(CorrectionInput).student_id
        associations = self.services.associations
        shown = await associations.correct(call.caller, batch_id, essay_id, student_id)
        return await answer_tagged(association_json(shown))


class AssociationHistoryView(ApiView):
    """Who decided an essay, how and when; the decision that stands is the last."""

    view_path = "/v1/batches/{batch_id}/student-associations/{essay_id}/history"

    async def get(self, request: web.Request, batch_id: UUID, essay_id: UUID) -> web.Response:
        owner_id = request[CALL].caller.user_id
        past = await self.services.associations.history(owner_id, batch_id, essay_id)
        return answer(history_json(past))


def _after(request: web.Request, batch_id: UUID) -> Place | None:
    cursor = decode(request.query, _PLACE)
    if cursor is None:
        return None
    if cursor[0] != batch_id:
        raise refused("cursor", NOT_GIVEN)
    return Place(*cursor[1:])


def _place(shown: AssociationView) -> Place:
    return Place(shown.association.created_at, shown.association.essay_id)
