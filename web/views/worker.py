"""What this process answers to other workers about its own part."""

from typing import Any, Final
from uuid import UUID

from aiohttp import web

from web.answers import answer
from web.calls import Call
from web.errors import NotFoundError
from web.identity import Access
from web.inspection.operations import BATCH, COMPARE, DRIFT, PENDING, STATUS, TABLE
from web.inspection.parts import Operation as PartOperation
from web.inspection.queries import ComparisonInput
from web.operations import Answer, Handler, Operation, Parameter, Tag
from web.schemas import status
from web.schemas import tables as schemas
from web.schemas.base import Output
from web.services import WebServices
from web.views.tables import PAGE_PARAMETERS


def _handler(part_operation: PartOperation[Any, Any]) -> Handler:
    async def handle(services: WebServices, call: Call, **ids: UUID) -> web.Response:
        query = part_operation.query.read(call, **ids)
        part = services.part
        if part is None:
            raise NotFoundError
        return answer(await part.ask(part_operation, query), status=part_operation.status)

    return handle


def _operation(
    of: PartOperation[Any, Any],
    name: str,
    summary: str,
    model: type[Output],
    parameters: tuple[Parameter, ...] = (),
) -> Operation:
    return Operation(
        of.method,
        of.own_path,
        name,
        summary,
        Tag.TABLES,
        _handler(of),
        {of.status: Answer("Of this worker alone.", model)},
        access=Access.WORKER,
        body=ComparisonInput if of.method == "POST" else None,
        parameters=parameters,
        errors=(NotFoundError,),
    )


OPERATIONS: Final = (
    _operation(TABLE, "getOwnTable", "Get this worker's part of the table", schemas.PartTable),
    _operation(
        PENDING,
        "listOwnEntries",
        "List the entries of this worker's part",
        schemas.PartPage,
        PAGE_PARAMETERS,
    ),
    _operation(DRIFT, "getOwnDrift", "Get this worker's last comparison", schemas.PartDrift),
    _operation(COMPARE, "compareOwn", "Have this worker compare its part", schemas.PartDrift),
    _operation(BATCH, "getOwnEntry", "Get this worker's entry of a batch", schemas.PartEntry),
    _operation(STATUS, "getOwnStatus", "Get what this worker knows of itself", status.PartStatus),
)
