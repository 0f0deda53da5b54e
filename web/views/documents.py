"""The documents that describe the service to other programs, and the pages that show them."""

import secrets
from http import HTTPStatus
from typing import Final

from aiohttp import web

from web.answers import CONTENT_TYPE
from web.calls import Call
from web.compression import takes_gzip
from web.documents.asyncapi import document as asyncapi
from web.documents.served import ServedDocument
from web.identity import Access
from web.operations import Answer, Handler, Operation, Tag
from web.page_files import DOCS
from web.page_headers import PAGE_HEADERS
from web.pages import PAGES, Page
from web.schemas.documents import AsyncApi, OpenApi
from web.services import WebServices
from web.state import STATE
from web.views.files import CACHING, file_operation, packed_answer, plain_answer

_ASYNCAPI: Final = ServedDocument(asyncapi)


async def show_openapi(_services: WebServices, call: Call) -> web.Response:
    """Answer the description of the HTTP API."""
    return await _show_document(call.request.app[STATE].openapi, call)


async def show_asyncapi(_services: WebServices, call: Call) -> web.Response:
    """Answer the description of what is on Kafka and Redis."""
    return await _show_document(_ASYNCAPI, call)


async def _show_document(document: ServedDocument, call: Call) -> web.Response:
    forms = await document.forms()
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": CACHING}
    if takes_gzip(call.request.headers):
        return packed_answer(forms.packed, forms.tag, headers)
    return plain_answer(forms.plain, forms.tag, headers)


def _show(page: Page) -> Handler:
    async def handle(services: WebServices, _call: Call) -> web.Response:
        """Answer a page, which allows its own styles by a number that is used once."""
        nonce = secrets.token_urlsafe(16)
        headers = {**PAGE_HEADERS, "Content-Security-Policy": page.policy(nonce)}
        return web.Response(text=page.html(services.config.version, nonce), headers=headers)

    return handle


def _page(page: Page) -> Operation:
    name = "".join(part.capitalize() for part in page.path.strip("/").split("/"))
    return Operation(
        "GET",
        page.path,
        f"show{name}",
        f"Read about it: {page.title}",
        Tag.DOCUMENTS,
        _show(page),
        {HTTPStatus.OK: Answer(page.description, media_types=("text/html",))},
        access=Access.ANYBODY,
    )


OPERATIONS: Final = (
    Operation(
        "GET",
        "/openapi.json",
        "getOpenApi",
        "Get this document",
        Tag.DOCUMENTS,
        show_openapi,
        {HTTPStatus.OK: Answer("An OpenAPI document, version 3.1.", OpenApi)},
        access=Access.ANYBODY,
        has_tag=True,
    ),
    Operation(
        "GET",
        "/asyncapi.json",
        "getAsyncApi",
        "Get the description of what is on Kafka and Redis",
        Tag.DOCUMENTS,
        show_asyncapi,
        {HTTPStatus.OK: Answer("An AsyncAPI document, version 3.0.", AsyncApi)},
        access=Access.ANYBODY,
        has_tag=True,
    ),
    *map(_page, PAGES),
)

#: What the pages load.
PARTS: Final = tuple(map(file_operation, DOCS.values()))
