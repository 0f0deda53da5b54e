"""`export` and `erase` over the store."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Final, TypeVar

import click

from class_management.cli import output
from class_management.cli.privacy import files, report
from class_management.cli.runner import EXIT_NO, EXIT_OK, TroubleError, setup_logs, warn
from class_management.cli.store import open_store
from class_management.settings import Settings
from rules.errors import PlaceholderError
from rules.personal.subjects import Report, Subject
from store.protocols.privacy import BeingErasedError, NothingStoredError, PrivacyProtocol
from telemetry.logs import get_logger

T = TypeVar("T")

#: Some statements read whole tables.
COMMAND_SECONDS: Final = 900.0

#: Rows between two words about how far it is.
ROWS_TOLD: Final = 1_000

_log = get_logger(__name__)


async def export(settings: Settings, subject: Subject, path: str | None) -> int:
    """Write what is stored of a subject."""
    async with _store(settings) as store:
        written = await _or_none(lambda: _export(store, subject, path))
    if written is None:
        return _nothing(subject)
    warn(f"{output.counted(written, 'row')} written; what is on topics is not among them")
    return EXIT_OK


async def _export(store: PrivacyProtocol, subject: Subject, path: str | None) -> int:
    """Write the rows; return how many. Raises NothingStoredError."""
    written = 0
    with output.status_line("reading") as tell, files.document(path, subject) as document:
        async with aclosing(store.export(subject)) as found:
            async for table, row in found:
                document.add(table, row)
                written += 1
                if written % ROWS_TOLD == 0:
                    tell(f"reading {table}: {written:,} rows")
    return written


async def try_erasing(settings: Settings, subject: Subject, path: str | None) -> int:
    """Print how many rows have something of a subject, and change nothing."""
    async with _store(settings) as store:
        counts = await store.counts(subject)
    if not counts:
        return _nothing(subject)
    report.table(counts, "rows with it")
    report.explain(subject)
    files.write_report(path, report.document(subject, counts, dry_run=True))
    return EXIT_OK


async def erase(
    settings: Settings, subject: Subject, path: str | None, *, yes: bool, patience: float
) -> int:
    """Erase a subject, after a question unless `yes`."""
    setup_logs(settings)
    async with _store(settings) as store:
        if not yes:
            _confirm(subject)
        with output.status_line("erasing") as tell:
            rows = 0

            def told(table: str, done: int) -> None:
                nonlocal rows
                rows += done
                tell(f"erasing in {table}: {output.counted(rows, 'row')} so far")

            erased = await _or_none(lambda: store.erase(subject, told, patience))
    if erased is None:
        return _nothing(subject)
    _tell(erased, subject)
    files.write_report(path, report.document(subject, erased.counts, erased))
    return EXIT_NO if erased.unfinished else EXIT_OK


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[PrivacyProtocol]:
    in_memory = "everything is gone when the worker stops"
    async with open_store(settings, in_memory, COMMAND_SECONDS) as store:
        yield store.get(PrivacyProtocol)


async def _or_none(work: Callable[[], Awaitable[T]]) -> T | None:
    """Return None if nothing is stored. Raises TroubleError."""
    try:
        return await work()
    except NothingStoredError:
        return None
    except BeingErasedError as error:
        raise TroubleError("another run is erasing it at this moment") from error
    except PlaceholderError as error:
        raise TroubleError("it is the UNKNOWN student of a class, and nobody's") from error


def _confirm(subject: Subject) -> None:
    """Have the id typed. Raises TroubleError if nobody can be asked, or types another one."""
    if not sys.stdin.isatty():
        raise TroubleError("nothing was done: nobody can be asked to confirm; give --yes")
    typed = click.prompt(f"Type the id of the {subject.kind} to erase it for good", err=True)
    if typed.strip() != subject.id:
        raise TroubleError("nothing was done: that is another id")


def _nothing(subject: Subject) -> int:
    warn(f"nothing is stored of this {subject.kind}")
    return EXIT_NO


def _tell(erased: Report, subject: Subject) -> None:
    """Print what was erased, and log that it was: ids of students and pseudonyms only."""
    report.table(erased.counts, "erased")
    report.explain(subject)
    for line in erased.unfinished:
        warn(f"not finished: {line}; run it again")
    _log.warning(
        "personal data erased",
        subject=subject.kind.value,
        erasure=str(erased.erasure.id),
        rows=sum(erased.counts.values()),
        finished=not erased.unfinished,
    )
