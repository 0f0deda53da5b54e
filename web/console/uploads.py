"""Forms that bring a file: multipart/form-data, read within bounds.

What is no file in it becomes a form like any other (web.console.forms), so that tokens are checked
alike.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import parse_mimetype
from aiohttp.http_exceptions import HttpProcessingError

from rules.imports.files import shown_name
from web.bodies import FORM_WITH_FILE, MAX_BODY
from web.calls import Call
from web.errors import BadRequestError, PayloadTooLargeError

#: Beside the file: as much as a form has, many times over.
FIELDS_BYTES: Final = 64 * 1024
_MOST_PARTS: Final = 20
_MOST_HEADERS: Final = 8
#: In pieces, for aiohttp copies the piece that it has begun at each part.
_PIECE: Final = 64 * 1024

_UNREADABLE: Final = "The form cannot be read."
_SEVERAL: Final = "A form brings one file."
_BROKEN: Final = (ValueError, RuntimeError, AssertionError, HttpProcessingError)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file, and what its sender calls it."""

    name: str | None
    content: bytes


UPLOAD: Final = web.RequestKey("console_upload", Upload)

_Part = tuple[str, Upload | str]


def upload_of(call: Call) -> Upload | None:
    """Return the file of a form, None if none was chosen."""
    return call.request.get(UPLOAD)


async def without_file(request: web.Request, body: bytes) -> bytes:
    """Return a form's body without its file, which `upload_of` returns from now on.

    Raises BadRequestError, and PayloadTooLargeError for one that has no file and is as large as if.
    """
    if request.content_type != FORM_WITH_FILE:
        if len(body) > MAX_BODY:
            raise PayloadTooLargeError
        return body
    try:
        parts = await _parts(request.headers["Content-Type"], body)
    except _BROKEN:
        raise BadRequestError(detail=_UNREADABLE) from None
    files = [found for _, found in parts if isinstance(found, Upload)]
    if len(files) > 1:
        raise BadRequestError(detail=_SEVERAL)
    if files and (files[0].content or files[0].name):
        request[UPLOAD] = files[0]
    fields = [(name, found) for name, found in parts if isinstance(found, str)]
    return urlencode(fields).encode()


async def _parts(content_type: str, body: bytes) -> list[_Part]:
    """Return the parts of a body. Raises one of _BROKEN."""
    boundary = parse_mimetype(content_type).parameters.get("boundary", "")
    # Browsers write nothing before it; aiohttp would look for it line by line, for seconds.
    if not boundary or not body.startswith(f"--{boundary}".encode()):
        raise ValueError(_UNREADABLE)
    reader = MultipartReader(
        {"Content-Type": content_type}, _stream(body), max_headers=_MOST_HEADERS
    )
    parts: list[_Part] = []
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or len(parts) == _MOST_PARTS:
            raise ValueError(_UNREADABLE)
        parts.append(await _read(part))
    return parts


async def _read(part: BodyPartReader) -> _Part:
    content = bytearray()
    while piece := await part.read_chunk(_PIECE):
        content += piece
    if not part.name:
        raise ValueError(_UNREADABLE)
    if part.filename is not None:
        return part.name, Upload(shown_name(part.filename), bytes(content))
    if len(content) > FIELDS_BYTES:
        raise ValueError(_UNREADABLE)
    return part.name, content.decode()


def _stream(body: bytes) -> StreamReader:
    """Return what a parser of aiohttp reads: the whole body is there, so that it never waits."""
    loop = asyncio.get_running_loop()
    stream = StreamReader(BaseProtocol(loop), len(body) + 1, loop=loop)
    for start in range(0, len(body), _PIECE):
        stream.feed_data(body[start : start + _PIECE])
    stream.feed_eof()
    return stream
