"""`import`, `undo` and `show` over the store: plans are made here, not in a worker."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, Final
from uuid import UUID

import click

from class_management.cli import output
from class_management.cli.rosters import report
from class_management.cli.runner import EXIT_NO, EXIT_OK, TroubleError, warn
from class_management.cli.store import open_store
from class_management.settings import Settings
from rules.conditions import Condition
from rules.courses import COURSES
from rules.errors import DataRefusedError, ServiceError, StoreUnavailableError
from rules.identity import may_act
from rules.ids import new_id
from rules.imports.files import FileContents, format_of, shown_name
from rules.imports.planning import make_plan
from rules.imports.plans import ImportRecord, ImportState, Mode, Plan, PlanOptions, Summary
from rules.imports.reading import MAX_BYTES, read
from rules.imports.undoing import make_undo
from rules.models import Caller, Trace
from rules.tags import import_tag
from store.protocols.imports import ApplyOptions, ImportsProtocol, NewImport

#: A state of 20,000 students, or the rows of 50,000 lines, in one statement.
COMMAND_SECONDS: Final = 60.0
#: Between two looks, while a worker applies what is left.
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command was asked for. `mode` and what follows it are of files."""

    user_id: str
    dry_run: bool
    force: bool
    skip_errors: bool
    yes: bool
    as_json: bool
    class_id: UUID | None = None
    mode: str = Mode.ADD
    course_code: str | None = None
    charset: str | None = None
    overwrite: bool = False

    @property
    def options(self) -> PlanOptions:
        """How to plan."""
        mode = Mode(self.mode)
        return PlanOptions(mode, self.class_id, self.course_code, overwrite=self.overwrite)


async def import_file(settings: Settings, file: BinaryIO, asked: Asked) -> int:
    """Plan what a file would change, and apply that."""
    if asked.course_code is not None and asked.course_code not in COURSES:
        raise TroubleError(f"there is no course {asked.course_code}: {', '.join(COURSES)}")
    with _told():
        contents = _read(file, asked)
    async with opened(settings, asked.user_id) as imports:
        state = await imports.roster_state(asked.user_id, asked.class_id)
        plan = make_plan(contents, state, asked.options)
        new = NewImport(new_id(), Mode(asked.mode), plan, asked.class_id, filename=_name(file))
        return await _carry_out(imports, new, asked)


async def undo(settings: Settings, import_id: UUID, asked: Asked) -> int:
    """Plan what takes an import back, and apply that."""
    async with opened(settings, asked.user_id) as imports:
        record = await imports.get_import(asked.user_id, import_id)
        rows = await imports.applied_rows(asked.user_id, import_id)
        plan = make_undo(rows, await imports.roster_state(asked.user_id, None))
        new = NewImport(new_id(), record.mode, plan, record.class_id, undoes=import_id)
        return await _carry_out(imports, new, asked)


async def show(settings: Settings, user_id: str, import_id: UUID, *, as_json: bool) -> int:
    """Print an import."""
    async with opened(settings, user_id) as imports:
        record = await imports.get_import(user_id, import_id)
    if as_json:
        output.print_json(report.import_document(record))
    else:
        report.ended(record)
        report.summary(record.summary)
    return _exit_code(record)


@asynccontextmanager
async def opened(settings: Settings, user_id: str) -> AsyncIterator[ImportsProtocol]:
    """Yield the store of imports. Raises TroubleError, also for refusals in the block."""
    if not may_act(user_id):
        raise TroubleError("--user is nobody who can have classes")
    in_memory = "the rosters are in the worker's memory alone"
    async with open_store(settings, in_memory, COMMAND_SECONDS) as store:
        with _told():
            yield store.get(ImportsProtocol)


@contextmanager
def _told() -> Iterator[None]:
    """Have refusals said in one line. Raises TroubleError."""
    try:
        yield
    except (StoreUnavailableError, DataRefusedError):
        raise
    except ServiceError as error:
        faults = [f"{fault.pointer}: {fault.detail}" for fault in error.errors if fault.pointer]
        raise TroubleError("; ".join([error.detail, *faults])) from error


def _read(file: BinaryIO, asked: Asked) -> FileContents:
    """Read a file, no further than where it is refused. Raises FileRefusedError."""
    body = file.read(MAX_BYTES + 1)
    return read(body, format_of(body), charset=asked.charset, for_class=asked.class_id is not None)


def _name(file: BinaryIO) -> str | None:
    """Return the name of a file, None for standard input."""
    name = getattr(file, "name", None)
    return shown_name(name) if isinstance(name, str) and name != "<stdin>" else None


async def _carry_out(imports: ImportsProtocol, new: NewImport, asked: Asked) -> int:
    """Show a plan, and apply it if that is wanted."""
    _show(new.plan, as_json=asked.as_json)
    if not _may_be_applied(new.plan, asked):
        return EXIT_NO
    if asked.dry_run:
        return EXIT_OK
    if not _changes(new.plan):
        if not asked.as_json:
            click.echo("There is nothing to change.")
        return EXIT_OK
    if not asked.yes:
        _confirm()
    return _exit_code(await _applied(imports, new, asked))


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        output.print_json(report.plan_document(plan))
    else:
        report.summary(plan.summary)
        report.faults(plan)


def _may_be_applied(plan: Plan, asked: Asked) -> bool:
    """Say what is missing, if something is."""
    is_large = any(one.is_large for one in plan.classes) and not asked.force
    has_errors = plan.summary.errors > 0 and not asked.skip_errors
    if is_large:
        report.large(plan.classes)
        warn("so large a change needs --force; is the file whole, and of these classes?")
    if has_errors:
        warn("mend the file, or leave out the classes that have errors with --skip-errors")
    return not (is_large or has_errors)


def _changes(plan: Plan) -> bool:
    counts = replace(plan.summary, unchanged=0, errors=0)
    return counts != Summary()


def _confirm() -> None:
    """Ask whether to apply. Raises TroubleError if nobody can be asked."""
    if not sys.stdin.isatty():
        raise TroubleError("nothing was done: nobody can be asked whether to apply it; give --yes")
    click.confirm("Apply this?", err=True, abort=True)


async def _applied(imports: ImportsProtocol, new: NewImport, asked: Asked) -> ImportRecord:
    """Store a plan and apply it, beside the workers, who go on if this ends."""
    caller = Caller(asked.user_id, Trace(new_id(), None))
    record = await imports.add_import(caller, new)
    options = ApplyOptions(asked.force, asked.skip_errors)
    condition = Condition(frozenset({import_tag(record)}))
    record = await imports.apply_import(caller, record.id, options, condition)
    with output.progress_bar("% applied", shown=not asked.as_json) as bar:
        task = bar.add_task("", total=100)
        while record.state is ImportState.APPLYING:
            if not await imports.apply_next():
                await asyncio.sleep(POLL_SECONDS)
            record = await imports.get_import(asked.user_id, record.id)
            bar.update(task, completed=int(record.progress * 100))
    if asked.as_json:
        output.print_json(report.import_document(record))
    else:
        report.ended(record)
    return record


def _exit_code(record: ImportRecord) -> int:
    is_whole = record.state is ImportState.APPLIED and not record.left_out
    return EXIT_OK if is_whole else EXIT_NO
