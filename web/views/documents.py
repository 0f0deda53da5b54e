"""The documents that describe the service to other programs."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from web.answers import CONTENT_TYPE
from web.calls import Call
from web.documents.served import ServedDocument
from web.identity import Access
from web.operations import Answer, Operation, Tag
from web.schemas.documents import OpenApi
from web.services import WebServices
from web.state import STATE

#: A new version of the service may say something else at any time; the tag tells whether it does.
_CACHING: Final = "public, max-age=0, must-revalidate"


async def show_openapi(_services: WebServices, call: Call) -> web.Response:
    """Answer the description of the HTTP API."""
    return await _answer(call.request.app[STATE].openapi)


async def _answer(document: ServedDocument) -> web.Response:
    body = await document.body()
    headers = {
        "Content-Type": CONTENT_TYPE,
        "ETag": f'"{document.tag}"',
        "Cache-Control": _CACHING,
    }
    return web.Response(body=body, headers=headers)


OPERATIONS: Final = (
    Operation(
        "GET",
        "/openapi.json",
        "getOpenApi",
        "Get this document",
        Tag.OPERATIONS,
        show_openapi,
        {HTTPStatus.OK: Answer("An OpenAPI document, version 3.1.", OpenApi)},
        access=Access.ANYBODY,
        has_tag=True,
    ),
)
