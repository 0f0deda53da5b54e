"""The table of deadlines, and whether it agrees with the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from rules.errors import ValidationFailedError
from tables.entries import EntryQuery, TableEntry, TableReport
from web.calls import Call
from web.console.acting import acting
from web.console.forms import form_of
from web.console.operating import ranges
from web.console.operations import form_operation, page_operation
from web.console.rendering import is_fragment, page, see_other
from web.identity import Access
from web.inspection.merge import merge_drift, merge_tables, merged_page
from web.inspection.operations import COMPARE, DRIFT, PENDING, TABLE
from web.inspection.queries import ComparisonInput
from web.operations import Operation
from web.services import WebServices

TIMERS: Final = "/console/operations/timers"

#: How many of the next deadlines are shown.
SHOWN: Final = 50

_REPAIRS: Final = {"check": False, "repair": True}


@dataclass(frozen=True, slots=True)
class Shown:
    """The table over all workers, and what falls due in it next."""

    table: TableReport
    entries: Sequence[TableEntry]
    complete: bool


async def show(services: WebServices, call: Call) -> web.Response:
    """Show the table and its last comparison; a piece is the comparison alone."""
    drift = merge_drift(await services.tables.ask(DRIFT, None, call.trace))
    running = any(one.running for one in drift.comparisons)
    if is_fragment(call):
        return await page(call, "operations/drift.html", drift=drift, running=running)
    return await page(
        call,
        "operations/timers.html",
        shown=await _shown(services, call),
        drift=drift,
        running=running,
        ranges=ranges,
    )


async def _shown(services: WebServices, call: Call) -> Shown:
    table = merge_tables(await services.tables.ask(TABLE, None, call.trace))
    entries = merged_page(await services.tables.ask(PENDING, EntryQuery(SHOWN), call.trace), SHOWN)
    return Shown(table, entries.entries, table.complete and entries.complete)


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
