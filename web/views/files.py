"""Answers files that pages load, and what else is compressed already."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from web.calls import Call
from web.compression import takes_gzip
from web.conditions import compressed, entity_tag
from web.identity import Access
from web.operations import Answer, Handler, Operation, Tag
from web.page_files import PageFile
from web.services import WebServices

#: A new version of the service may say something else at any time; the tag tells whether it does.
CACHING: Final = "public, max-age=0, must-revalidate"
#: Of a file whose address has its version.
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


def packed_answer(body: bytes, tag: str, headers: Mapping[str, str]) -> web.Response:
    """Answer what is compressed already, so that it is not compressed for each request."""
    response = plain_answer(body, tag, headers)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = compressed(entity_tag(tag))
    return response


def plain_answer(body: bytes, tag: str, headers: Mapping[str, str]) -> web.Response:
    """Answer the same as it is."""
    own = {"ETag": entity_tag(tag), "Vary": "Accept-Encoding"}
    return web.Response(body=body, headers={**headers, **own})


def file_operation(file: PageFile) -> Operation:
    """Return what answers a file that a page loads."""
    return Operation(
        "GET",
        file.path,
        f"get {file.name}",
        f"Get {file.name}",
        Tag.DOCUMENTS,
        _send(file),
        {HTTPStatus.OK: Answer("The file.", media_types=(file.media_type,))},
        access=Access.ANYBODY,
        has_tag=True,
        is_part_of_page=True,
    )


def _send(file: PageFile) -> Handler:
    async def handle(_services: WebServices, call: Call) -> web.Response:
        """Answer the file: compressed, unless the client cannot have that."""
        is_named = call.request.query.get("v") == file.version
        headers = {
            "Content-Type": file.media_type,
            "Cache-Control": _FOR_GOOD if is_named else CACHING,
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if takes_gzip(call.request.headers):
            return packed_answer(file.packed, file.version, headers)
        return plain_answer(await file.unpacked(), file.version, headers)

    return handle
