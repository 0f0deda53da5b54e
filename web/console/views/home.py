"""What waits for a teacher, and the way to it from the service's bare address."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from aiohttp import web

from rules.batches import BatchQuery, BatchState
from rules.class_pages import ClassQuery
from web.calls import Call
from web.console.operations import page_operation
from web.console.rendering import is_fragment, page, see_other
from web.errors import NotFoundError
from web.identity import Access
from web.operations import Operation
from web.services import WebServices
from web.views.batches import batch_query, next_batches

ROOT: Final = "/"
HOME: Final = "/console"

#: How many the first page has of each; more are a page further.
_MOST_BATCHES: Final = 100
_MOST_CLASSES: Final = 10
_MOST_DECIDED: Final = 10
#: For so long it is news that a batch was decided.
_NEWS: Final = timedelta(days=3)


_PENDING: Final = frozenset({BatchState.PENDING})
_CLOSED: Final = BatchQuery(limit=_MOST_DECIDED, states=frozenset({BatchState.CLOSED}))


async def show_home(services: WebServices, call: Call) -> web.Response:
    """Show the batches that wait, soonest deadline first, below them what was decided, and classes.

    A page further there are only batches; a script asks for what changes by itself.
    """
    user_id = call.user
    query = replace(batch_query(call), limit=_MOST_BATCHES, states=_PENDING, class_id=None)
    waiting = await services.associations.list_batches(user_id, query)
    closed = await services.associations.list_batches(user_id, _CLOSED)
    news = [one for one in closed.batches if one.closed_at and waiting.now - one.closed_at < _NEWS]
    classes = None
    if not is_fragment(call):
        classes = await services.classes.list_classes(user_id, ClassQuery(_MOST_CLASSES))
    return await page(
        call,
        "home_batches.html" if is_fragment(call) else "home.html",
        server_now=waiting.now,
        batches=waiting.batches,
        cursor=next_batches(waiting),
        is_first=query.after is None,
        decided=news,
        classes=classes and classes.classes,
        has_more_classes=classes is not None and classes.next is not None,
    )


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
