"""The documents that describe the service to other programs, and the pages that show them."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from web.answers import CONTENT_TYPE
from web.calls import Call
from web.compression import takes_gzip
from web.conditions import compressed, entity_tag
from web.documents.asyncapi import document as asyncapi
from web.documents.served import ServedDocument
from web.identity import Access
from web.operations import Answer, Handler, Operation, Tag
from web.page_files import FILES, packed, unpacked, version_of
from web.pages import PAGES, Page
from web.schemas.documents import AsyncApi, OpenApi
from web.services import WebServices
from web.state import STATE

#: A new version of the service may say something else at any time; the tag tells whether it does.
_CACHING: Final = "public, max-age=0, must-revalidate"
#: Of a file whose address has its version.
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_PAGE_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}

_ASYNCAPI: Final = ServedDocument(asyncapi)


async def show_openapi(_services: WebServices, call: Call) -> web.Response:
    """Answer the description of the HTTP API."""
    return await _show_document(call.request.app[STATE].openapi, call)


async def show_asyncapi(_services: WebServices, call: Call) -> web.Response:
    """Answer the description of what is on Kafka and Redis."""
    return await _show_document(_ASYNCAPI, call)


async def _show_document(document: ServedDocument, call: Call) -> web.Response:
    forms = await document.forms()
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": _CACHING}
    if takes_gzip(call.request.headers):
        return _packed(forms.packed, forms.tag, headers)
    return _plain(forms.plain, forms.tag, headers)


def _packed(body: bytes, tag: str, headers: Mapping[str, str]) -> web.Response:
    """Answer what is compressed already, so that it is not compressed for each request."""
    response = _plain(body, tag, headers)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = compressed(entity_tag(tag))
    return response


def _plain(body: bytes, tag: str, headers: Mapping[str, str]) -> web.Response:
    own = {"ETag": entity_tag(tag), "Vary": "Accept-Encoding"}
    return web.Response(body=body, headers={**headers, **own})


def _show(page: Page) -> Handler:
    async def handle(services: WebServices, _call: Call) -> web.Response:
        """Answer a page, which allows its own styles by a number that is used once."""
        nonce = secrets.token_urlsafe(16)
        headers = {**_PAGE_HEADERS, "Content-Security-Policy": page.policy(nonce)}
        return web.Response(text=page.html(services.config.version, nonce), headers=headers)

    return handle


def _send(name: str) -> Handler:
    async def handle(_services: WebServices, call: Call) -> web.Response:
        """Answer a file that a page loads: compressed, unless the client cannot have that."""
        version = version_of(name)
        is_named = call.request.query.get("v") == version
        headers = {
            "Content-Type": FILES[name],
            "Cache-Control": _FOR_GOOD if is_named else _CACHING,
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if takes_gzip(call.request.headers):
            return _packed(packed(name), version, headers)
        return _plain(await unpacked(name), version, headers)

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


def _file(name: str) -> Operation:
    return Operation(
        "GET",
        f"/docs/{name}",
        f"get {name}",
        f"Get {name}",
        Tag.DOCUMENTS,
        _send(name),
        {HTTPStatus.OK: Answer("The file.", media_types=(FILES[name],))},
        access=Access.ANYBODY,
        has_tag=True,
        is_part_of_page=True,
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
PARTS: Final = tuple(map(_file, FILES))
