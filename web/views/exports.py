"""Rosters as files: one class, and all of a teacher's classes."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.errors import ValidationFailedError
from rules.imports.exporting import MAX_ROWS, row_count
from rules.imports.files import Format
from store.tagging import tag_of
from web.answers import vary
from web.calls import Call
from web.conditions import entity_tag
from web.errors import NotAcceptableError
from web.identity import Access
from web.negotiation import preferred
from web.operations import Answer, Operation, Parameter, Tag
from web.parameters import one_of
from web.planning.jobs import RosterWriting, Writing
from web.services import WebServices
from web.uploads import CSV, ZIP

EXPORT: Final = "/v1/export"

#: What has more rows is written in the planning process; that of one class always in a thread.
MOST_IN_THREAD: Final = 2_000

_FILES: Final = {Format.CSV: (CSV, "classes.csv"), Format.ONEROSTER: (ZIP, "oneroster.zip")}
_TOO_MANY: Final = (
    f"Your classes have more than {MAX_ROWS:,} rows, which no import would take: "
    "get the rosters of single classes."
)


async def roster_file(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer the roster of a class as CSV."""
    document = await services.classes.class_document(call.user_id, class_id)
    body = await asyncio.to_thread(RosterWriting(document).run)
    return await _answer(body, CSV, "roster.csv")


async def export_classes(services: WebServices, call: Call) -> web.Response:
    """Answer all classes of the caller and their rosters as a file."""
    asked = one_of(call.query, "format", Format)
    file_format = asked or _preferred(call)
    state = await services.imports.roster_state(call.user, None)
    rows = row_count(state)
    if rows > MAX_ROWS:
        raise ValidationFailedError(_TOO_MANY)
    job = Writing(state, file_format, datetime.now(UTC).date())
    if rows <= MOST_IN_THREAD:
        body = await asyncio.to_thread(job.run)
    else:
        body = await services.planner.do(job, lambda: call.is_gone)
    response = await _answer(body, *_FILES[file_format])
    if asked is None:
        vary(response, "Accept")
    return response


def _preferred(call: Call) -> Format:
    media_type = preferred(call.request.headers, (CSV, ZIP))
    return Format.CSV if media_type == CSV else Format.ONEROSTER


async def _answer(body: bytes, media_type: str, filename: str) -> web.Response:
    headers = {
        "Content-Type": f"{media_type}; charset=utf-8" if media_type == CSV else media_type,
        "Content-Disposition": f'attachment; filename="{filename}"',
        "ETag": entity_tag(await tag_of(body)),
    }
    return web.Response(body=body, headers=headers)


_FORMAT: Final = Parameter(
    "format",
    {"type": "string", "enum": [*Format]},
    "`csv`, or a OneRoster 1.2 CSV zip; absent: as `Accept` prefers, else CSV.",
)

OPERATIONS: Final = (
    Operation(
        "GET",
        EXPORT,
        "exportClasses",
        "Get all your classes and rosters as a file",
        Tag.ROSTERS,
        export_classes,
        {HTTPStatus.OK: Answer("The file, which can be imported.", media_types=(CSV, ZIP))},
        access=Access.USER,
        description="A cell that a spreadsheet would run as a formula begins with an apostrophe, "
        f"which an import takes off again. More than {MAX_ROWS:,} rows are 400.",
        parameters=(_FORMAT,),
        errors=(NotAcceptableError,),
        seconds=60.0,
        has_tag=True,
        is_large=True,
    ),
)
