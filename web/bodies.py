"""Reads request bodies: JSON in UTF-8, of a bounded size, within a bounded time."""

import asyncio
import re
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from rules.errors import ValidationFailedError
from web.errors import (
    BadRequestError,
    PayloadTooLargeError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)
from web.held import LARGE, HeldBytes

MAX_BODY: Final = 1024**2

_JSON: Final = re.compile(r"application/(json|[^/+]+\+json)")
_CHARSETS: Final = frozenset({None, "utf-8", "utf8"})
#: What aiohttp unpacks; anything else it hands on as it came.
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
_BROKEN: Final = (web.RequestPayloadError, BadHttpMessage, ConnectionError)


async def read_body(request: web.Request, limit: int, seconds: float, held: HeldBytes) -> bytes:
    """Return the body, which has `seconds` to arrive.

    Raises UnsupportedMediaTypeError, PayloadTooLargeError, BadRequestError for one that does not
    arrive in time, and ValidationFailedError for one that does not arrive whole.
    """
    _check_media_type(request)
    _check_encoding(request)
    if (request.content_length or 0) > limit:
        raise PayloadTooLargeError
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request, limit, held)
    except TimeoutError:
        late = HTTPStatus.REQUEST_TIMEOUT
        raise BadRequestError(late, "The body did not arrive in time.") from None
    except _BROKEN:
        raise ValidationFailedError("The body did not arrive whole.") from None


def _check_media_type(request: web.Request) -> None:
    header = request.headers.get("Content-Type")
    if not header or header == "application/json":
        return
    charset = request.charset
    if not _JSON.fullmatch(request.content_type) or (charset and charset.lower()) not in _CHARSETS:
        raise UnsupportedMediaTypeError


def _check_encoding(request: web.Request) -> None:
    encodings = request.headers.getall("Content-Encoding", ())
    if len(encodings) > 1 or any(one.lower() not in _ENCODINGS for one in encodings):
        raise UnsupportedEncodingError


async def _collect(request: web.Request, limit: int, held: HeldBytes) -> bytes:
    body, transport = bytearray(), request.transport
    try:
        # Counted on arrival: Content-Length may be absent, or that of the compressed body.
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise PayloadTooLargeError
            if len(body) > LARGE and transport is not None:
                held.moved(transport, len(body))
        return bytes(body)
    finally:
        if transport is not None:
            held.release(transport)
