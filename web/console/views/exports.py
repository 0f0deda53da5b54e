"""Rosters to keep: of a class, and of all of a teacher's classes."""

from typing import Final
from uuid import UUID

from aiohttp import web

from web.calls import Call
from web.console.operations import file_operation
from web.console.rendering import HEADERS
from web.console.views.classes import CLASS
from web.operations import Operation
from web.services import WebServices
from web.uploads import CSV, ZIP
from web.views.exports import export_classes, roster_file


async def save_roster(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Answer the roster of a class as a file."""
    return _to_keep(await roster_file(services, call, class_id))


async def save_classes(services: WebServices, call: Call) -> web.Response:
    """Answer all classes as a file of the format that is asked for."""
    return _to_keep(await export_classes(services, call))


def _to_keep(response: web.Response) -> web.Response:
    response.headers.update(HEADERS)
    return response


OPERATIONS: Final[tuple[Operation, ...]] = (
    file_operation(f"{CLASS}/roster.csv", save_roster, CSV),
    file_operation("/console/export", save_classes, CSV, ZIP),
)
