"""A batch of essays and whose they are: what was suggested, and what the teacher decides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from rules.batches import BatchQuery, Page
from rules.conditions import Condition
from rules.decisions import repeats
from rules.errors import (
    BatchConflictError,
    PreconditionFailedError,
    StudentNotFoundError,
    ValidationFailedError,
)
from rules.models import (
    AssociationView,
    BatchView,
    Decision,
    HumanDecision,
    Method,
    PastDecision,
    Status,
)
from rules.tags import Tagger
from rules.timeouts import UNKNOWN_NAME
from web.calls import Call
from web.console.essays import Row, counts_of, decided_by, from_confidence, row_of, rows_of
from web.console.forms import form_of
from web.console.notices import N_
from web.console.operations import form_operation, page_operation
from web.console.rendering import is_fragment, many, page, see_other
from web.console.shares import percent_of, share_of
from web.operations import Handler, Operation
from web.parameters import identifier
from web.services import WebServices

BATCH: Final = "/console/batches/{batch_id}"
ESSAY: Final = f"{BATCH}/essays/{{essay_id}}"

#: What a form says instead of a student's id.
NOBODY: Final = "nobody"
UNKNOWN: Final = "unknown"

_NO_STUDENT: Final = N_("Choose a student first.")
_OUTSIDE: Final = N_("This student is not in the class any more: choose another one.")


async def show_batch(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Show the matching of a batch; `from` is where confirming the rest begins, in percent.

    Its script asks for pieces: how the batch stands, some rows, the students of the class.
    """
    piece = _PIECES.get(call.query.get("piece", "")) if is_fragment(call) else None
    if piece is not None:
        return await piece(services, call, batch_id)
    given = call.query.get("from") or percent_of(services.config.high_confidence)
    return await _batch_page(services, call, batch_id, given)


async def _batch_page(
    services: WebServices, call: Call, batch_id: UUID, given: str
) -> web.Response:
    batch, rows = await _rows(services, call, batch_id)
    least = share_of(given)
    shown = {"batch_id": batch_id, "conflict": None, "fault": None}
    return await page(
        call,
        "batch.html",
        status=HTTPStatus.BAD_REQUEST if least is None else HTTPStatus.OK,
        essays=await many(call, "batch_rows.html", rows, **shown),
        given=given,
        takes=0 if least is None else from_confidence(rows, least),
        fault=least is None,
        batch=batch,
        server_now=batch.now,
        counts=counts_of(rows),
        have=_standing(batch, rows),
        **await _class_of(services, call, batch),
    )


async def _class_of(services: WebServices, call: Call, batch: BatchView) -> dict[str, str]:
    # Any batch of the class has its name.
    query = BatchQuery(limit=1, class_id=batch.class_id)
    listed = (await services.associations.list_batches(call.user, query)).batches
    cls = listed[0] if listed else None
    return {
        "class_name": cls.class_name if cls else "",
        "course_code": cls.course_code if cls else "",
    }


def _standing(batch: BatchView, rows: Iterable[Row]) -> str:
    """Return what is different once anything that the page shows of the batch is."""
    tagger = Tagger()
    tagger.take(repr((batch.confirm_by, batch.closed_at)).encode())
    for row in rows:
        tagger.take(row.tag.encode())
    return tagger.tag


async def _rows(services: WebServices, call: Call, batch_id: UUID) -> tuple[BatchView, list[Row]]:
    owner_id = call.user
    batch = await services.associations.get_batch(owner_id, batch_id)
    return batch, await rows_of(batch.associations, owner_id, services.config.high_confidence)


async def _state(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Answer how the batch stands, nothing if that is what the script has (`have`)."""
    batch, rows = await _rows(services, call, batch_id)
    have = _standing(batch, rows)
    if call.query.get("have") == have:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    tags = " ".join(f"{row.essay_id}:{row.tag}" for row in rows)
    counts = counts_of(rows)
    return await page(call, "batch_state.html", batch=batch, counts=counts, have=have, tags=tags)


async def _some_rows(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Answer the rows of some essays (`essay`)."""
    wanted = set(call.query.getall("essay", ()))
    found = [
        row for row in (await _rows(services, call, batch_id))[1] if str(row.essay_id) in wanted
    ]
    shown = {"batch_id": batch_id, "conflict": None, "fault": None}
    return await page(call, "piece.html", piece=await many(call, "batch_rows.html", found, **shown))


async def _choice(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Answer whom an essay may be decided for."""
    owner_id = call.user
    # Of the batch only its class is wanted.
    batch = await services.associations.get_batch(owner_id, batch_id, Page(1))
    students = await _students(services, owner_id, batch.class_id)
    if not any(one["is_unknown"] for one in students):
        students.append({"id": UNKNOWN, "name": "", "email": None, "is_unknown": True})
    return await page(call, "piece.html", piece=await many(call, "batch_choice.html", students))


_PIECES: Final[Mapping[str, Handler]] = MappingProxyType(
    {"state": _state, "rows": _some_rows, "students": _choice}
)


async def show_essay(
    services: WebServices, call: Call, batch_id: UUID, essay_id: UUID
) -> web.Response:
    """Show one essay with its history and a choice of the whole class, or its row alone."""
    view = await services.associations.get_association(call.user, batch_id, essay_id)
    return await _essay_answer(services, call, batch_id, view)


async def confirm_rest(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Confirm every suggestion that waits and is as sure as the form says."""
    given = form_of(call).text("from")
    least = share_of(given)
    if least is None:
        return await _batch_page(services, call, batch_id, given)
    await services.associations.confirm(call.caller, batch_id, (), least)
    if is_fragment(call):
        return web.Response(status=HTTPStatus.NO_CONTENT)
    return see_other(f"/console/batches/{batch_id}", "confirmed")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a form says of an essay; `tag` is of what it corrects, "" while nothing is decided."""

    student_id: UUID | None
    is_unknown: bool
    tag: str


async def decide(services: WebServices, call: Call, batch_id: UUID, essay_id: UUID) -> web.Response:
    """Decide whose essay this is, or correct what the form shows as decided."""
    owner_id = call.user
    view = await services.associations.get_association(owner_id, batch_id, essay_id)
    wanted = _wanted(call)
    if wanted is None:
        return await _essay_answer(services, call, batch_id, view, fault=_NO_STUDENT)
    try:
        await _apply(services, call, batch_id, essay_id, wanted)
    except (BatchConflictError, PreconditionFailedError):
        view = await services.associations.get_association(owner_id, batch_id, essay_id)
        if not _stands(view, wanted, owner_id):
            return await _essay_answer(services, call, batch_id, view, wanted)
    except ValidationFailedError:
        return await _essay_answer(services, call, batch_id, view, fault=_OUTSIDE)
    if is_fragment(call):
        return await show_essay(services, call, batch_id, essay_id)
    return see_other(f"/console/batches/{batch_id}#essay-{essay_id}", "decided")


def _wanted(call: Call) -> _Wanted | None:
    """Return what a form says, None if no student is chosen. Raises ValidationFailedError."""
    form = form_of(call)
    chosen, tag = form.text("student"), form.text("tag")
    if not chosen:
        return None
    student_id = None if chosen in {NOBODY, UNKNOWN} else identifier("student", chosen)
    return _Wanted(student_id, chosen == UNKNOWN, tag)


async def _apply(
    services: WebServices, call: Call, batch_id: UUID, essay_id: UUID, wanted: _Wanted
) -> None:
    caller, student_id = call.caller, wanted.student_id
    if wanted.tag:
        condition = Condition(frozenset({wanted.tag}))
        await services.associations.correct(caller, batch_id, essay_id, student_id, condition)
        return
    confirmed = wanted.is_unknown or student_id is not None
    decision = HumanDecision(essay_id, confirmed, student_id)
    await services.associations.confirm(caller, batch_id, [decision])


def _stands(view: AssociationView, wanted: _Wanted, user_id: str) -> bool:
    """Whether a form that comes twice, or late, wants what is so already."""
    current = view.association
    status = Status.REJECTED if wanted.student_id is None else Status.CONFIRMED
    decision = Decision(current.essay_id, status, Method.HUMAN, wanted.student_id, user_id)
    return not current.pending and not wanted.is_unknown and repeats(decision, current)


async def _essay_answer(
    services: WebServices,
    call: Call,
    batch_id: UUID,
    view: AssociationView,
    wanted: _Wanted | None = None,
    fault: str | None = None,
) -> web.Response:
    """Answer an essay: its row for a script, else its page.

    `wanted` is what cannot be done because another decision came first, which the row says.
    """
    row = row_of(view, call.user, services.config.high_confidence)
    status = HTTPStatus.CONFLICT if wanted else HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK
    shown: dict[str, object] = {
        "items": [row],
        "batch_id": batch_id,
        "conflict": await _conflict(services, call, wanted),
        "fault": fault,
    }
    if is_fragment(call):
        return await page(call, "batch_rows.html", status=status, **shown)
    shown |= {"row": row, **await _essay_context(services, call, batch_id, row)}
    return await page(call, "essay.html", status=status, **shown)


async def _conflict(
    services: WebServices, call: Call, wanted: _Wanted | None
) -> dict[str, str | None] | None:
    """Return what was wanted in vain: what a form says of it, and a student's name."""
    if wanted is None:
        return None
    if wanted.student_id is None:
        # Corrected to the UNKNOWN student by its id in the class, where it has one.
        return {"value": "" if wanted.is_unknown else NOBODY, "name": None}
    name = await _name(services, call, wanted.student_id)
    return {"value": str(wanted.student_id), "name": name}


async def _name(services: WebServices, call: Call, student_id: UUID) -> str | None:
    """Return a student's name, None if the student is deleted."""
    try:
        student = await services.classes.get_student(call.user, student_id)
    except StudentNotFoundError:
        return None
    return student.name.legal_full_name


async def _essay_context(
    services: WebServices, call: Call, batch_id: UUID, row: Row
) -> Mapping[str, object]:
    owner_id = call.user
    batch = await services.associations.get_batch(owner_id, batch_id)
    students = await _students(services, owner_id, batch.class_id)
    past = await services.associations.history(owner_id, batch_id, row.essay_id)
    names: dict[UUID, str | None] = {UUID(one["id"]): one["name"] for one in students}
    for decision in past:
        if decision.student_id is not None and decision.student_id not in names:
            names[decision.student_id] = await _name(services, call, decision.student_id)
    return {"students": students, "history": [_past(one, owner_id, names) for one in past]}


async def _students(services: WebServices, owner_id: str, class_id: UUID) -> list[dict[str, Any]]:
    """Return the students of a class by name, the UNKNOWN one behind them."""
    document = await services.classes.class_document(owner_id, class_id)
    students = [
        {
            "id": one["id"],
            "name": one["full_name"],
            "email": None if one["is_placeholder"] else one["email"],
            "is_unknown": one["is_placeholder"],
        }
        for one in orjson.loads(document)["students"]
    ]
    return sorted(students, key=lambda one: one["is_unknown"])


def _past(one: PastDecision, user_id: str, names: Mapping[UUID, str | None]) -> dict[str, object]:
    name = names[one.student_id] if one.student_id else None
    return {
        "at": one.at,
        "by": decided_by(one.method, one.by, user_id),
        "who": one.by,
        "is_nobodys": one.status is Status.REJECTED and one.student_id is None,
        "is_unknown": name == UNKNOWN_NAME.legal_full_name,
        "name": name,
    }


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(BATCH, show_batch),
    form_operation(BATCH, confirm_rest),
    page_operation(ESSAY, show_essay),
    form_operation(ESSAY, decide),
)
