"""Rosters from files: a file is read into a plan, which is looked at, applied, and taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.conditions import Condition
from rules.courses import COURSES
from rules.errors import (
    ImportConflictError,
    PreconditionFailedError,
    ServiceError,
    TooLargeChangeError,
    ValidationFailedError,
)
from rules.imports.files import FileRefusedError, format_of
from rules.imports.plans import ImportRecord, ImportState, Mode, PlanOptions, RowKind
from rules.tags import import_tag
from store.protocols.imports import ApplyOptions, RowQuery
from web.calls import Call
from web.console.faults import Faults, faults_of
from web.console.forms import Form, form_of
from web.console.import_words import words_of
from web.console.imports import FILTERS, LOOK, STATES, Rows, ShownRows, count_of
from web.console.languages import speech_of
from web.console.notices import N_
from web.console.operations import form_operation, page_operation
from web.console.people import ShownClass, class_names, read_class
from web.console.rendering import is_fragment, page, see_other
from web.console.uploads import upload_of
from web.console.views.classes import CLASS
from web.operations import Operation
from web.parameters import NOT_GIVEN, refused, single
from web.services import WebServices
from web.uploads import MAX_UPLOAD
from web.views.imports import (
    PLANNING_SECONDS,
    SentFile,
    import_query,
    next_imports,
    plan_of_file,
    plan_of_undo,
    row_place,
    rows_cursor,
)

IMPORTS: Final = "/console/imports"
IMPORT: Final = f"{IMPORTS}/{{import_id}}"
INTO: Final = f"{CLASS}/import"

#: A page of rows; each may have to look for a name.
_PAGE: Final = 50

_FAULTY_ROWS: Final = RowQuery(_PAGE, RowKind.ERROR)
_NOTICED_ROWS: Final = RowQuery(_PAGE, noticed=True)
#: While it is being applied, what was left out is not known yet; of what has expired nothing is.
_WITH_ROWS: Final = frozenset({ImportState.PLANNED, ImportState.APPLIED, ImportState.FAILED})

_NO_FILE: Final = N_("Choose a file.")
_LARGE: Final = N_("Nothing is changed yet: say below that so large a change is meant.")
_FAULTY: Final = N_("Nothing is changed yet: say below that the classes with errors are left out.")
_PLAN_MOVED: Final = N_(
    "Nothing was changed: somebody changed meanwhile what this plan rests on. Import the file once "
    "more, and look at what it would do now."
)
_NOTHING_MORE: Final = N_("Nothing more was done: this is how the import stands now.")


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a form that brings a file has in its other fields."""

    mode: str = Mode.ADD
    course: str = ""
    overwrite: bool = False

    @classmethod
    def of(cls, form: Form) -> "_Typed":
        return cls(form.text("mode") or Mode.ADD, form.text("course"), form.has("overwrite"))

    def options(self, class_id: UUID | None) -> PlanOptions:
        """Return how to plan. Raises ValidationFailedError."""
        if self.mode not in set(Mode) or (self.course and self.course not in COURSES):
            raise ValidationFailedError
        return PlanOptions(Mode(self.mode), class_id, self.course or None, overwrite=self.overwrite)


# --- bringing a file -----------------------------------------------------------------------------


async def show_into(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Show the form that brings a file for a class."""
    cls = await read_class(services, call.user, class_id)
    return await _into(call, cls, _Typed(), {})


async def _into(call: Call, cls: ShownClass, typed: _Typed, faults: Faults) -> web.Response:
    status = HTTPStatus.BAD_REQUEST if faults else HTTPStatus.OK
    return await page(
        call, "class_import.html", status=status, cls=cls, typed=typed, faults=faults, courses=()
    )


async def import_into(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Plan what a file would change in a class."""
    typed = _Typed.of(form_of(call))
    cls = await read_class(services, call.user, class_id)
    try:
        record = await _planned(services, call, typed, class_id)
    except (FileRefusedError, ValidationFailedError) as error:
        return await _into(call, cls, typed, _file_faults(call, error))
    return see_other(f"{IMPORTS}/{record.id}")


async def show_imports(services: WebServices, call: Call) -> web.Response:
    """Show the teacher's imports, newest first, and the form that brings a file of many classes."""
    return await _imports(services, call, _Typed(), {})


async def _imports(
    services: WebServices, call: Call, typed: _Typed, faults: Faults
) -> web.Response:
    owner_id = call.user
    found = await services.imports.list_imports(owner_id, import_query(call))
    return await page(
        call,
        "imports.html",
        status=HTTPStatus.BAD_REQUEST if faults else HTTPStatus.OK,
        imports=found.imports,
        states=STATES,
        names=await class_names(services, owner_id),
        cursor=next_imports(found),
        typed=typed,
        faults=faults,
        courses=COURSES.values(),
    )


async def import_many(services: WebServices, call: Call) -> web.Response:
    """Plan what a file would change in the classes that it names."""
    typed = _Typed.of(form_of(call))
    try:
        record = await _planned(services, call, typed, None)
    except (FileRefusedError, ValidationFailedError) as error:
        return await _imports(services, call, typed, _file_faults(call, error))
    return see_other(f"{IMPORTS}/{record.id}")


async def _planned(
    services: WebServices, call: Call, typed: _Typed, class_id: UUID | None
) -> ImportRecord:
    """Store the plan of a form's file. Raises FileRefusedError, ValidationFailedError."""
    options, upload = typed.options(class_id), upload_of(call)
    if upload is None:
        raise ValidationFailedError(_NO_FILE)
    file = SentFile(upload.content, format_of(upload.content), name=upload.name)
    new = await plan_of_file(services, call, file, options)
    return await services.imports.add_import(call.caller, new)


def _file_faults(call: Call, error: ServiceError) -> Faults:
    """Return what is wrong, beside the field of the file: it is about what is in it."""
    ui, said = speech_of(call.request), faults_of(error, {}).values()
    return {"file": [words_of(ui, text).text for texts in said for text in texts]}


# --- the plan, and what became of it -------------------------------------------------------------


_Told = tuple[str, HTTPStatus]
_MOVED: Final[_Told] = (_PLAN_MOVED, HTTPStatus.PRECONDITION_FAILED)
_WRONG_STATE: Final[_Told] = (_NOTHING_MORE, HTTPStatus.CONFLICT)
_REFUSED: Final[Mapping[type[ServiceError], _Told]] = {
    TooLargeChangeError: (_LARGE, HTTPStatus.CONFLICT),
    ValidationFailedError: (_FAULTY, HTTPStatus.BAD_REQUEST),
    ImportConflictError: _WRONG_STATE,
}
_REFUSALS: Final = tuple(_REFUSED)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the form that applies a plan had, and what came of it."""

    options: ApplyOptions = field(default_factory=ApplyOptions)
    fault: str = ""
    status: HTTPStatus = HTTPStatus.OK


async def show_import(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Show an import: the plan, how far it is, or what was done."""
    return await _import(services, call, import_id, _Asked())


async def _import(
    services: WebServices, call: Call, import_id: UUID, asked: _Asked
) -> web.Response:
    owner_id = call.user
    record = await services.imports.get_import(owner_id, import_id)
    names = await class_names(services, owner_id)
    rows = Rows(services, record, names, speech_of(call.request))
    await rows.learn_new_classes()
    query, shown = _row_query(call, import_id), _filter(call)
    is_plan = record.state is ImportState.PLANNED and not shown and not query.after
    listed = await _some(rows, query, wanted=record.state in _WITH_ROWS)
    return await page(
        call,
        "import_shown.html" if is_fragment(call) else "import.html",
        status=asked.status,
        is_piece=is_fragment(call),
        record=record,
        state=STATES[record.state],
        tag=import_tag(record),
        names=rows.class_names,
        filters=FILTERS,
        shown=shown,
        counts={name: count_of(record.summary, name) for name in FILTERS},
        faulty=await _some(rows, _FAULTY_ROWS, wanted=is_plan and record.summary.errors > 0),
        noticed=await _some(rows, _NOTICED_ROWS, wanted=is_plan),
        rows=listed.rows,
        cursor=rows_cursor(import_id, listed.next) if listed.next is not None else None,
        asked=asked,
        can_undo=services.config.changes,
    )


async def _some(rows: Rows, query: RowQuery, *, wanted: bool) -> ShownRows:
    return await rows.read(query) if wanted else ShownRows((), None)


def _filter(call: Call) -> str:
    shown = single(call.query, "kind") or ""
    if shown not in FILTERS:
        raise refused("kind", NOT_GIVEN)
    return shown


def _row_query(call: Call, import_id: UUID) -> RowQuery:
    """Read which rows are wanted. Raises ValidationFailedError."""
    shown, query = _filter(call), RowQuery(_PAGE, after=row_place(call, import_id))
    if shown == LOOK:
        return replace(query, noticed=True)
    return replace(query, kind=RowKind(shown)) if shown else query


async def apply(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Have a plan applied that rests on what is so still."""
    form = form_of(call)
    options = ApplyOptions(form.has("force"), form.has("skip_errors"))
    condition = Condition(frozenset({form.text("tag")}))
    try:
        await services.imports.apply_import(call.caller, import_id, options, condition)
    except PreconditionFailedError:
        record = await services.imports.get_import(call.user, import_id)
        # The form was sent before: its tag is that of the plan.
        is_plan = record.state is ImportState.PLANNED
        told = _MOVED if is_plan else _WRONG_STATE
    except _REFUSALS as error:
        told = next(told for kind, told in _REFUSED.items() if isinstance(error, kind))
    else:
        return see_other(f"{IMPORTS}/{import_id}")
    return await _import(services, call, import_id, _Asked(options, *told))


async def undo(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Plan what takes an applied import back."""
    try:
        new = await plan_of_undo(services, call, import_id)
        record = await services.imports.add_import(call.caller, new)
    except ImportConflictError:
        return await _import(services, call, import_id, _Asked(ApplyOptions(), *_WRONG_STATE))
    return see_other(f"{IMPORTS}/{record.id}")


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(INTO, show_into),
    form_operation(INTO, import_into, seconds=PLANNING_SECONDS, file_limit=MAX_UPLOAD),
    page_operation(IMPORTS, show_imports),
    form_operation(IMPORTS, import_many, seconds=PLANNING_SECONDS, file_limit=MAX_UPLOAD),
    page_operation(IMPORT, show_import),
    form_operation(f"{IMPORT}/apply", apply),
    form_operation(f"{IMPORT}/undo", undo, seconds=PLANNING_SECONDS, plans=True),
)
