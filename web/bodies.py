"""Reads request bodies: JSON in UTF-8, of a bounded size, within a bounded time."""

import asyncio
import re
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from rules.errors import ValidationFailedError
from web.errors import PayloadTooLargeError, UnsupportedMediaTypeError

MAX_BODY: Final = 1024**2
# Separate from the answer's deadline: a slow line is not the service's failure.
READ_SECONDS: Final = 5

_JSON: Final = re.compile(r"application/(json|[^/+]+\+json)")
_CHARSETS: Final = frozenset({None, "utf-8", "utf8"})
_BROKEN: Final = (web.RequestPayloadError, BadHttpMessage, ConnectionError)


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body.

    Raises UnsupportedMediaTypeError, PayloadTooLargeError, and ValidationFailedError for one that
    does not arrive whole.
    """
    _check_media_type(request)
    if (request.content_length or 0) > limit:
        raise PayloadTooLargeError
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await _collect(request, limit)
    except TimeoutError:
        raise ValidationFailedError("The body did not arrive in time.") from None
    except _BROKEN:
        raise ValidationFailedError("The body did not arrive whole.") from None


def _check_media_type(request: web.Request) -> None:
    header = request.headers.get("Content-Type")
    if not header or header == "application/json":
        return
    charset = request.charset
    if not _JSON.fullmatch(request.content_type) or (charset and charset.lower()) not in _CHARSETS:
        raise UnsupportedMediaTypeError


async def _collect(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    # Counted on arrival: Content-Length may be absent, or that of the compressed body.
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise PayloadTooLargeError
    return bytes(body)
