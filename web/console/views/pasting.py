"""A list of pupils for a class: pasted, looked at, and only then made."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from rules.events.envelopes import to_json
from rules.limits import MAX_STUDENTS
from web.calls import Call
from web.console.forms import Form, form_of
from web.console.notices import N_
from web.console.once import done_once, new_key
from web.console.operations import form_operation, page_operation
from web.console.pasted import Pasted, PastedList, read_list
from web.console.people import read_class
from web.console.registering import SETTLED, Kind, Registering, checked, counts
from web.console.rendering import many, page, see_other
from web.console.views.classes import CLASS, CLASSES
from web.operations import Operation
from web.services import WebServices

PASTE: Final = f"{CLASS}/paste"

#: Two thousand pupils, of whom each may have to be looked for.
_SECONDS: Final = 60.0

_EMPTY: Final = N_("There is nobody in this list yet.")
_LONG: Final = N_("A list has at most 2,000 lines: a class has no more students.")


async def show_paste(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Show the field for a list."""
    return await _page(services, call, class_id)


async def paste(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Show what a list would make, or make it once that was seen."""
    form = form_of(call)
    lines = _read(form)
    fault = _fault(lines.pupils)
    if fault:
        return await _page(services, call, class_id, form, fault=fault)
    if not form.has("confirm"):
        return await _preview(services, call, class_id, form, lines)
    return await _make(services, call, class_id, form, lines)


def _read(form: Form) -> PastedList:
    return read_list(form.text("list"), swapped=form.has("swapped"))


def _fault(pupils: Sequence[Pasted]) -> str | None:
    if not pupils:
        return _EMPTY
    return _LONG if len(pupils) > MAX_STUDENTS else None


async def _preview(
    services: WebServices,
    call: Call,
    class_id: UUID,
    form: Form,
    lines: PastedList,
    **more: object,
) -> web.Response:
    work, pupils = _registering(services, call, class_id, form), await checked(lines.pupils)
    entries = await services.idempotency.dry(lambda: work.run(pupils))
    rows = await many(call, "class_paste_rows.html", entries)
    return await _page(services, call, class_id, form, rows=rows, counts=counts(entries), **more)


async def _make(
    services: WebServices, call: Call, class_id: UUID, form: Form, lines: PastedList
) -> web.Response:
    registering = _registering(services, call, class_id, form)
    pupils = await checked(lines.pupils)

    async def work() -> bytes:
        entries = await registering.run(pupils)
        found = counts(entries)
        left = [place for place, entry in enumerate(entries) if entry.kind not in SETTLED]
        return to_json({"made": found[Kind.NEW], "joined": found[Kind.JOINS], "left": left})

    done = orjson.loads(await done_once(services, call, work))
    if not done["left"]:
        path = f"{CLASSES}/{class_id}"
        return see_other(path, "listed", made=str(done["made"]), joined=str(done["joined"]))
    return await _rest(services, call, class_id, form, lines, done)


async def _rest(
    services: WebServices,
    call: Call,
    class_id: UUID,
    form: Form,
    lines: PastedList,
    done: dict[str, Any],
) -> web.Response:
    """Show what could not be made, to be mended, below what was."""
    left = [lines.pupils[place].text for place in done["left"]]
    text = "\n".join([lines.heading, *left] if lines.heading else left)
    rest = Form({"list": [text], **({"swapped": ["1"]} if form.has("swapped") else {})})
    return await _preview(services, call, class_id, rest, _read(rest), done=done)


def _registering(services: WebServices, call: Call, class_id: UUID, form: Form) -> Registering:
    return Registering(services, call.caller, class_id, frozenset(form.texts("chosen")))


async def _page(
    services: WebServices,
    call: Call,
    class_id: UUID,
    form: Form | None = None,
    **shown: Any,  # noqa: ANN401  # whatever the template shows
) -> web.Response:
    cls = await read_class(services, call.user, class_id)
    values = {"fault": None, "rows": "", "counts": {}, "done": None, **shown}
    return await page(
        call,
        "class_paste.html",
        status=HTTPStatus.BAD_REQUEST if values["fault"] else HTTPStatus.OK,
        cls=cls,
        text=form.text("list") if form else "",
        swapped=bool(form and form.has("swapped")),
        once=new_key(),
        **values,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(PASTE, show_paste),
    form_operation(PASTE, paste, seconds=_SECONDS),
)
