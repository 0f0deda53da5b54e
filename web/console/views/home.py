"""What waits for a teacher, and the way to it from the service's bare address."""

from dataclasses import replace
from typing import Final

from aiohttp import web

from rules.batches import BatchQuery, BatchState
from web.calls import Call
from web.console.operations import page_operation
from web.console.rendering import page, see_other
from web.errors import NotFoundError
from web.identity import Access
from web.operations import Operation
from web.services import WebServices

ROOT: Final = "/"
HOME: Final = "/console"

_MOST_BATCHES: Final = 100


async def show_home(services: WebServices, call: Call) -> web.Response:
    """Show the batches that wait, soonest deadline first."""
    query = BatchQuery(limit=_MOST_BATCHES, states=frozenset({BatchState.PENDING}))
    waiting = await services.associations.list_batches(call.caller.user_id, query)
    return await page(call, "home.html", batches=waiting.batches, now=waiting.now)


async def show_root(_services: WebServices, call: Call) -> web.Response:
    """Lead a browser to the pages; for other programs nothing is here."""
    if "text/html" not in call.request.headers.get("Accept", ""):
        raise NotFoundError
    return see_other(HOME)


OPERATIONS: Final[tuple[Operation, ...]] = (
    # No page: who is no browser gets the error that it has always got here.
    replace(page_operation(ROOT, show_root, Access.ANYBODY), is_page=False, is_part_of_page=True),
    page_operation(HOME, show_home),
)
