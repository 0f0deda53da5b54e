"""Everything that an operator has to see, on one page."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from web.calls import Call
from web.console.advice import ADVICE
from web.console.languages import speech_of
from web.console.operating import Scene, concerns, heights, ranges, scene
from web.console.operations import page_operation
from web.console.rendering import is_fragment, page
from web.errors import NotFoundError
from web.identity import Access
from web.inspection.operations import STATUS
from web.operations import Operation
from web.services import WebServices

OVERVIEW: Final = "/console/operations"


async def show(services: WebServices, call: Call) -> web.Response:
    """Show all workers and the store, or what of the page is asked for again and again."""
    found = await _scene(services, call)
    ui = speech_of(call.request)
    return await page(
        call,
        "operations/live.html" if is_fragment(call) else "operations/overview.html",
        scene=found,
        concerns=concerns(found, ui),
        advice=ADVICE,
        ranges=ranges,
        heights=heights(found.hours),
    )


async def _scene(services: WebServices, call: Call) -> Scene:
    if services.desk is None:
        raise NotFoundError
    answers, own, reading = await asyncio.gather(
        services.tables.ask(STATUS, None, call.trace),
        services.desk.status(),
        services.desk.figures.read(),
    )
    is_worker = services.part is not None
    return scene(answers, None if is_worker else own, reading, datetime.now(UTC))


OPERATIONS: Final[tuple[Operation, ...]] = (page_operation(OVERVIEW, show, Access.OPERATOR),)
