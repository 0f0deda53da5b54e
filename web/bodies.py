"""Reads request bodies: JSON in UTF-8, a form or a file; of a bounded size, in a bounded time."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
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
from web.unpacking import NotWholeError, Unpacker

MAX_BODY: Final = 1024**2

#: As browsers encode the forms of pages, and those that have a file.
FORM: Final = "application/x-www-form-urlencoded"
FORM_WITH_FILE: Final = "multipart/form-data"

_JSON: Final = re.compile(r"application/(json|[^/+]+\+json)")
_CHARSETS: Final = frozenset({None, "utf-8", "utf8"})
_PACKED: Final = frozenset({"gzip", "deflate"})
_ENCODINGS: Final = _PACKED | {"", "identity"}
_BROKEN: Final = (web.RequestPayloadError, BadHttpMessage, ConnectionError, NotWholeError)


async def read_body(
    request: web.Request,
    limit: int,
    seconds: float,
    held: HeldBytes,
    media_types: Sequence[str] = (),
) -> bytes:
    """Return the body, of one of these types, else JSON, which has `seconds` to arrive.

    Raises UnsupportedMediaTypeError, PayloadTooLargeError, BadRequestError for one that does not
    arrive in time, and ValidationFailedError for one that does not arrive whole.
    """
    _check_media_type(request, media_types)
    encoding = _encoding(request)
    if (request.content_length or 0) > limit:
        raise PayloadTooLargeError
    content = request.content
    try:
        # It has arrived with its head, as small ones do: nothing to wait for.
        if content.is_eof() and content.exception() is None and encoding not in _PACKED:
            return _within(content.read_nowait(), limit)
        async with asyncio.timeout(seconds):
            return await _collect(request, encoding, limit, held)
    except TimeoutError:
        late = HTTPStatus.REQUEST_TIMEOUT
        raise BadRequestError(late, "The body did not arrive in time.") from None
    except _BROKEN:
        raise ValidationFailedError("The body did not arrive whole.") from None


def _check_media_type(request: web.Request, media_types: Sequence[str]) -> None:
    header = request.headers.get("Content-Type")
    if media_types:
        if request.content_type not in media_types:
            raise UnsupportedMediaTypeError(only_of(media_types))
        return
    if not header or header == "application/json":
        return
    charset = request.charset
    if not _JSON.fullmatch(request.content_type) or (charset and charset.lower()) not in _CHARSETS:
        raise UnsupportedMediaTypeError


def only_of(media_types: Sequence[str]) -> str:
    """Return what is said to who sends a body of another type."""
    return f"The body must be `Content-Type: {'` or `'.join(media_types)}`."


def _encoding(request: web.Request) -> str:
    encodings = request.headers.getall("Content-Encoding", ("",))
    encoding = encodings[0].lower()
    if len(encodings) > 1 or encoding not in _ENCODINGS:
        raise UnsupportedEncodingError
    return encoding


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise PayloadTooLargeError
    return body


async def _collect(request: web.Request, encoding: str, limit: int, held: HeldBytes) -> bytes:
    body, transport = bytearray(), request.transport
    try:
        async for chunk in _chunks(request, encoding, limit):
            body += chunk
            if len(body) > limit:
                raise PayloadTooLargeError
            if len(body) > LARGE and transport is not None:
                held.moved(transport, len(body))
        return bytes(body)
    finally:
        if transport is not None:
            held.release(transport)


async def _chunks(request: web.Request, encoding: str, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, unpacked, up to one byte more than the limit at a time.

    Counted on arrival, too: Content-Length may be absent, and megabytes unpack to nothing.
    """
    unpacker = Unpacker(encoding) if encoding in _PACKED else None
    arrived = 0
    async for chunk in request.content.iter_any():
        arrived += len(chunk)
        if arrived > limit:
            raise PayloadTooLargeError
        yield unpacker.feed(chunk, limit + 1) if unpacker else chunk
    if unpacker:
        unpacker.end()
