"""A batch's associations and the teacher's decisions."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.batches import Page, Place
from rules.documents import association_json, batch_json, pagination_json
from rules.errors import BatchConflictError, BatchNotFoundError, EssayNotFoundError
from rules.inputs import CorrectionInput, DecisionsInput
from rules.models import AssociationView
from store.tagging import written_associations
from web.answers import answer, answer_tagged
from web.calls import Call
from web.cursors import Instant, decode, encode
from web.identity import Access
from web.operations import Answer, Operation, Tag
from web.parameters import NOT_GIVEN, optional_page_size, refused
from web.queries import CURSOR, limit
from web.representations import history_json, totals_json
from web.schemas.batches import Association, AssociationHistory, BatchAssociations, Decided
from web.services import WebServices

ASSOCIATIONS: Final = "/v1/batches/{batch_id}/student-associations"
ASSOCIATION: Final = f"{ASSOCIATIONS}/{{essay_id}}"

#: With its batch: a place in another batch's list would be one here, too.
_PLACE: Final = TypeAdapter(tuple[UUID, Instant, UUID])


async def get_batch(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Answer a batch's associations, oldest first."""
    page = Page(optional_page_size(call.query), _after(call, batch_id))
    batch = await services.associations.get_batch(call.user, batch_id, page)
    shown = batch.associations
    cursor = encode((batch_id, *_place(shown[-1]))) if batch.more else None
    pagination = pagination_json(page.limit, len(shown), cursor)
    associations = await written_associations(shown)
    body = batch_json(batch, associations, pagination)
    return await answer_tagged(body, {"server_time": batch.now})


async def confirm(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Apply a teacher's decisions on a batch, all or none."""
    given = call.read(DecisionsInput)
    totals = await services.associations.confirm(
        call.caller, batch_id, given.resolve(), given.min_confidence, call.condition
    )
    return answer(totals_json(totals))


async def get_association(
    services: WebServices, call: Call, batch_id: UUID, essay_id: UUID
) -> web.Response:
    """Answer the association of one essay."""
    owner_id = call.user
    view = await services.associations.get_association(owner_id, batch_id, essay_id)
    return await answer_tagged(association_json(view))


async def correct(
    services: WebServices, call: Call, batch_id: UUID, essay_id: UUID
) -> web.Response:
    """Correct what was decided for an essay."""
    student_id = call.read(CorrectionInput).student_id
    shown = await services.associations.correct(
        call.caller, batch_id, essay_id, student_id, call.condition
    )
    return await answer_tagged(association_json(shown))


async def get_history(
    services: WebServices, call: Call, batch_id: UUID, essay_id: UUID
) -> web.Response:
    """Answer who decided an essay, how and when; the decision that stands is the last."""
    past = await services.associations.history(call.user, batch_id, essay_id)
    return answer(history_json(past))


def _after(call: Call, batch_id: UUID) -> Place | None:
    cursor = decode(call.query, _PLACE)
    if cursor is None:
        return None
    if cursor[0] != batch_id:
        raise refused("cursor", NOT_GIVEN)
    return Place(*cursor[1:])


def _place(shown: AssociationView) -> Place:
    return Place(shown.association.created_at, shown.association.essay_id)


OPERATIONS: Final = (
    Operation(
        "GET",
        ASSOCIATIONS,
        "getBatchAssociations",
        "Get a batch's associations",
        Tag.BATCHES,
        get_batch,
        {HTTPStatus.OK: Answer("The associations, oldest first.", BatchAssociations)},
        access=Access.USER,
        parameters=(limit(None), CURSOR),
        errors=(BatchNotFoundError,),
        has_tag=True,
        is_large=True,
    ),
    Operation(
        "POST",
        f"{ASSOCIATIONS}/confirm",
        "confirmAssociations",
        "Decide whose essays these are",
        Tag.BATCHES,
        confirm,
        {HTTPStatus.OK: Answer("How the batch stands.", Decided)},
        access=Access.USER,
        description="All decisions are applied, or none. The last one closes the batch. The tag of "
        "`If-Match` is that of the batch's whole list of associations.",
        body=DecisionsInput,
        errors=(BatchNotFoundError, BatchConflictError),
        takes_match=True,
    ),
    Operation(
        "GET",
        ASSOCIATION,
        "getAssociation",
        "Get the association of one essay",
        Tag.BATCHES,
        get_association,
        {HTTPStatus.OK: Answer("The association.", Association)},
        access=Access.USER,
        errors=(BatchNotFoundError, EssayNotFoundError),
        has_tag=True,
    ),
    Operation(
        "PUT",
        ASSOCIATION,
        "correctAssociation",
        "Correct a decision",
        Tag.BATCHES,
        correct,
        {HTTPStatus.OK: Answer("The association as it is now.", Association)},
        access=Access.USER,
        description="Of an open or closed batch: to a student of the class, or to nobody (null). "
        "The same decision again changes nothing.",
        body=CorrectionInput,
        errors=(BatchNotFoundError, EssayNotFoundError, BatchConflictError),
        has_tag=True,
        takes_match=True,
    ),
    Operation(
        "GET",
        f"{ASSOCIATION}/history",
        "getAssociationHistory",
        "Get who decided an essay, and when",
        Tag.BATCHES,
        get_history,
        {HTTPStatus.OK: Answer("The decisions, oldest first.", AssociationHistory)},
        access=Access.USER,
        errors=(BatchNotFoundError, EssayNotFoundError),
    ),
)
