"""The table of deadlines, and whether it agrees with the database."""

from typing import Final

from aiohttp import web

from rules.errors import ValidationFailedError
from web.calls import Call
from web.console.acting import acting
from web.console.forms import form_of
from web.console.operating import ranges
from web.console.operations import form_operation, page_operation
from web.console.rendering import is_fragment, page, see_other
from web.identity import Access
from web.inspection.merge import merge_drift, merge_tables, merged_page
from web.inspection.operations import COMPARE, DRIFT, PENDING, TABLE
from web.inspection.queries import ComparisonInput, write_place
from web.operations import Operation
from web.services import WebServices

TIMERS: Final = "/console/operations/timers"

_REPAIRS: Final = {"check": False, "repair": True}


async def show(services: WebServices, call: Call) -> web.Response:
    """Show the table and its last comparison; a piece is the comparison alone."""
    drift = merge_drift(await services.tables.ask(DRIFT, None, call.trace))
    running = any(one.running for one in drift.comparisons)
    if is_fragment(call):
        return await page(call, "operations/drift.html", drift=drift, running=running)
    query = PENDING.query.read(call)
    table = merge_tables(await services.tables.ask(TABLE, None, call.trace))
    entries = merged_page(await services.tables.ask(PENDING, query, call.trace), query.limit)
    return await page(
        call,
        "operations/timers.html",
        table=table,
        entries=entries.entries,
        cursor=write_place(entries.next) if entries.next else None,
        complete=table.complete and entries.complete,
        drift=drift,
        running=running,
        ranges=ranges,
    )


async def compare(services: WebServices, call: Call) -> web.Response:
    """Have all workers compare their part with the database; repairing it is acting."""
    act = form_of(call).text("act")
    if act not in _REPAIRS:
        raise ValidationFailedError
    if _REPAIRS[act]:
        acting(call, "timers.repair")
    await services.tables.ask(COMPARE, ComparisonInput(repair=_REPAIRS[act]), call.trace)
    return see_other(TIMERS, f"timers-{act}")


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(TIMERS, show, Access.OPERATOR),
    form_operation(TIMERS, compare, Access.OPERATOR),
)
