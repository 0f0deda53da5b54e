"""Rosters from files: plans, what is in them, applying them, and taking them back."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from rules.courses import COURSES
from rules.documents import pagination_json
from rules.errors import (
    ClassNotFoundError,
    ImportConflictError,
    ImportNotFoundError,
    TooLargeChangeError,
)
from rules.ids import new_id
from rules.imports.documents import import_json, row_json
from rules.imports.files import MAX_FILENAME, Format
from rules.imports.plans import ImportRecord, Mode, PlanOptions, RowKind
from rules.tags import import_tag
from store.protocols.imports import ApplyOptions, ImportPage, ImportQuery, NewImport, RowQuery
from web.answers import answer
from web.calls import Call
from web.conditions import required
from web.cursors import Instant, decode, encode
from web.identity import Access
from web.operations import Answer, Operation, Parameter, Tag
from web.parameters import NOT_GIVEN, one_of, page_size, refused, single, truth
from web.planning.jobs import Planning, Undoing
from web.queries import CURSOR, TEXT_PATTERN, limit
from web.schemas import imports as schemas
from web.services import WebServices
from web.uploads import CSV, FORMATS, MAX_UPLOAD, filename_of, format_of

IMPORTS: Final = "/v1/imports"
IMPORT: Final = f"{IMPORTS}/{{import_id}}"

#: In which a file is planned, from its last byte on; its arrival has as long.
PLANNING_SECONDS: Final = 60.0

_LIST: Final = "imports"
_PLACE: Final = TypeAdapter(tuple[Literal["imports"], Instant, UUID])
_ROWS: Final = "rows"
_ROW_PLACE: Final = TypeAdapter(tuple[Literal["rows"], UUID, int])
_MOST_ROWS: Final = 2**31 - 1

_CANNOT_UNDO: Final = "Changes are not remembered here, so nothing can be taken back."


async def import_roster(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Plan what a file would change in a class."""
    return await _imported(services, call, _options(call, class_id))


async def import_classes(services: WebServices, call: Call) -> web.Response:
    """Plan what a file would change in the classes that it names."""
    return await _imported(services, call, _options(call, None))


def _options(call: Call, class_id: UUID | None) -> PlanOptions:
    return PlanOptions(
        mode=one_of(call.query, "mode", Mode) or Mode.ADD,
        class_id=class_id,
        course_code=None if class_id else _course(call),
        overwrite=truth(call.query, "overwrite"),
    )


def _course(call: Call) -> str | None:
    code = single(call.query, "course_code") or None
    if code is not None and code not in COURSES:
        raise refused("course_code", f"Must be one of {', '.join(COURSES)}.")
    return code


async def _imported(services: WebServices, call: Call, options: PlanOptions) -> web.Response:
    request = call.request
    file = SentFile(call.body, format_of(request), request.charset, filename_of(request))

    async def make() -> NewImport:
        return await plan_of_file(services, call, file, options)

    return await _stored(services, call, await call.beforehand(make))


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that somebody sent; `charset` and `name` as they say, if they do."""

    content: bytes
    format: Format
    charset: str | None = None
    name: str | None = None


async def plan_of_file(
    services: WebServices, call: Call, file: SentFile, options: PlanOptions
) -> NewImport:
    """Return what a file would change. Raises ClassNotFoundError, and what refuses the file."""
    state = await services.imports.roster_state(call.user, options.class_id)
    job = Planning(file.content, file.format, file.charset, state, options)
    plan = await services.planner.do(job, lambda: call.is_gone)
    return NewImport(new_id(), options.mode, plan, options.class_id, None, file.name)


async def undo_import(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Plan what takes an applied import back."""

    async def make() -> NewImport:
        return await plan_of_undo(services, call, import_id)

    return await _stored(services, call, await call.beforehand(make))


async def plan_of_undo(services: WebServices, call: Call, import_id: UUID) -> NewImport:
    """Return what takes an import back. Raises ImportNotFoundError, ImportConflictError."""
    user_id = call.user
    record = await services.imports.get_import(user_id, import_id)
    if not services.config.changes:
        raise ImportConflictError(_CANNOT_UNDO)
    rows = await services.imports.applied_rows(user_id, import_id)
    state = await services.imports.roster_state(user_id, None)
    plan = await services.planner.do(Undoing(rows, state), lambda: call.is_gone)
    return NewImport(new_id(), record.mode, plan, record.class_id, import_id, record.filename)


async def _stored(services: WebServices, call: Call, new: NewImport) -> web.Response:
    record = await services.imports.add_import(call.caller, new)
    return _answer(record, HTTPStatus.CREATED, location=f"{IMPORTS}/{record.id}")


def _answer(
    record: ImportRecord, status: HTTPStatus = HTTPStatus.OK, location: str | None = None
) -> web.Response:
    tag = import_tag(record)
    return answer(import_json(record), status=status, tag=tag, location=location)


async def get_import(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Answer an import."""
    return _answer(await services.imports.get_import(call.user, import_id))


async def list_imports(services: WebServices, call: Call) -> web.Response:
    """Answer a page of the caller's imports."""
    query = import_query(call)
    page = await services.imports.list_imports(call.user, query)
    imports = [import_json(record) for record in page.imports]
    pagination = pagination_json(query.limit, len(imports), next_imports(page))
    return answer({"imports": imports, "pagination": pagination})


def import_query(call: Call) -> ImportQuery:
    """Read which page of imports is wanted. Raises ValidationFailedError."""
    size = page_size(call.query, 20)
    after = decode(call.query, _PLACE)
    return ImportQuery(size, after and after[1:])


def next_imports(page: ImportPage) -> str | None:
    """Return the cursor of the page that follows, None if none does."""
    if not page.more:
        return None
    last = page.imports[-1]
    return encode((_LIST, last.created_at, last.id))


async def list_rows(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Answer a page of what an import changes."""
    size, kind = page_size(call.query, 100), one_of(call.query, "kind", RowKind)
    query = RowQuery(size, kind, row_place(call, import_id))
    page = await services.imports.import_rows(call.user, import_id, query)
    rows = [row_json(stored.row, left_out=stored.left_out) for stored in page.rows]
    last = rows_cursor(import_id, page.rows[-1].number) if page.more else None
    return answer({"rows": rows, "pagination": pagination_json(size, len(rows), last)})


def row_place(call: Call, import_id: UUID) -> int:
    """Return the number of the row behind which a page begins. Raises ValidationFailedError."""
    after = decode(call.query, _ROW_PLACE)
    if after is None:
        return 0
    _, of_import, number = after
    if of_import != import_id or not 0 <= number <= _MOST_ROWS:
        raise refused("cursor", NOT_GIVEN)
    return number


def rows_cursor(import_id: UUID, number: int) -> str:
    """Return the cursor of the page that begins behind a row."""
    return encode((_ROWS, import_id, number))


async def apply_import(services: WebServices, call: Call, import_id: UUID) -> web.Response:
    """Have a plan applied."""
    options = ApplyOptions(
        force=truth(call.query, "force"), skip_errors=truth(call.query, "skip_errors")
    )
    condition = required(call.request.headers)
    record = await services.imports.apply_import(call.caller, import_id, options, condition)
    return _answer(record, HTTPStatus.ACCEPTED)


def _boolean(name: str, description: str) -> Parameter:
    return Parameter(name, {"type": "boolean", "default": False}, description)


_MODE: Final = Parameter(
    "mode",
    {"type": "string", "enum": [*Mode], "default": Mode.ADD.value},
    "`sync` also takes out of a class who is missing in the file.",
)
_OVERWRITE: Final = _boolean(
    "overwrite", "Take the file's word also for what was changed by hand since the last import."
)
_FILENAME: Final = Parameter(
    "filename",
    {"type": "string", "maxLength": MAX_FILENAME, "pattern": TEXT_PATTERN},
    "The file's name, to be shown; `Content-Disposition` may say it, too.",
)
_COURSE: Final = Parameter(
    "course_code",
    {"type": "string", "enum": [*COURSES]},
    "The course of new classes of which the file does not say it.",
)
_KIND: Final = Parameter("kind", {"type": "string", "enum": [*RowKind]}, "Only rows of this kind.")
_PLAN: Final = "Nothing is changed yet: the plan is kept for 24 hours, to be looked at and applied."

OPERATIONS: Final = (
    Operation(
        "POST",
        "/v1/classes/{class_id}/roster/import",
        "importRoster",
        "Plan the import of a file into a class",
        Tag.ROSTERS,
        import_roster,
        {HTTPStatus.CREATED: Answer("The plan.", schemas.Import, has_location=True)},
        access=Access.USER,
        description=_PLAN,
        uploads=(CSV,),
        body_limit=MAX_UPLOAD,
        seconds=PLANNING_SECONDS,
        parameters=(_MODE, _OVERWRITE, _FILENAME),
        errors=(ClassNotFoundError,),
        has_tag=True,
    ),
    Operation(
        "POST",
        IMPORTS,
        "importClasses",
        "Plan the import of a file of many classes",
        Tag.ROSTERS,
        import_classes,
        {HTTPStatus.CREATED: Answer("The plan.", schemas.Import, has_location=True)},
        access=Access.USER,
        description=f"A CSV file that names the classes, or a OneRoster 1.2 CSV zip. {_PLAN}",
        uploads=tuple(FORMATS),
        body_limit=MAX_UPLOAD,
        seconds=PLANNING_SECONDS,
        parameters=(_MODE, _OVERWRITE, _FILENAME, _COURSE),
        has_tag=True,
    ),
    Operation(
        "GET",
        IMPORTS,
        "listImports",
        "List your imports",
        Tag.ROSTERS,
        list_imports,
        {HTTPStatus.OK: Answer("Your imports, newest first.", schemas.ImportPage)},
        access=Access.USER,
        parameters=(limit(20), CURSOR),
    ),
    Operation(
        "GET",
        IMPORT,
        "getImport",
        "Get an import",
        Tag.ROSTERS,
        get_import,
        {HTTPStatus.OK: Answer("The import.", schemas.Import)},
        access=Access.USER,
        errors=(ImportNotFoundError,),
        has_tag=True,
    ),
    Operation(
        "GET",
        f"{IMPORT}/rows",
        "listImportRows",
        "List what an import changes",
        Tag.ROSTERS,
        list_rows,
        {HTTPStatus.OK: Answer("Rows of the plan, in its order.", schemas.ImportRowPage)},
        access=Access.USER,
        parameters=(_KIND, limit(100), CURSOR),
        errors=(ImportNotFoundError,),
    ),
    Operation(
        "POST",
        f"{IMPORT}/apply",
        "applyImport",
        "Apply an import",
        Tag.ROSTERS,
        apply_import,
        {HTTPStatus.ACCEPTED: Answer("It is being applied, class by class.", schemas.Import)},
        access=Access.USER,
        description="A class is applied as a whole or not at all: one that moves meanwhile is left "
        "out, which `left_out` and the rows tell.",
        parameters=(
            _boolean("force", "Also what takes out, or changes, much of a class."),
            _boolean("skip_errors", "Leave out the classes whose rows have errors."),
        ),
        errors=(ImportNotFoundError, ImportConflictError, TooLargeChangeError),
        has_tag=True,
        takes_match=True,
        needs_match=True,
    ),
    Operation(
        "POST",
        f"{IMPORT}/undo",
        "undoImport",
        "Plan to take an import back",
        Tag.ROSTERS,
        undo_import,
        {HTTPStatus.CREATED: Answer("The plan.", schemas.Import, has_location=True)},
        access=Access.USER,
        description="It takes out who joined, brings back who left, and deletes only students that "
        f"the import made and that have no decided essay. {_PLAN}",
        seconds=PLANNING_SECONDS,
        errors=(ImportNotFoundError, ImportConflictError),
        has_tag=True,
        plans=True,
    ),
)
