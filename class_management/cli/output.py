"""What commands print: JSON lines, tables, instants, spans, counts and progress.

Imported only where results are shown: rich takes longer to import than `--help` may.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final, TypeAlias

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from class_management.cli.runner import TroubleError

Json: TypeAlias = dict[str, Any]

#: Nothing is cut, however narrow the terminal: people copy ids and addresses.
TABLE_WIDTH: Final = 10_000


def print_json(document: object) -> None:
    """Print a JSON document on one line, in UTF-8; a terminal decides for itself."""
    encoded = orjson.dumps(document)
    # A progress bar on the terminal makes room for text, not for bytes.
    click.echo(encoded.decode() if sys.stdout.isatty() else encoded)


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Yield standard output for a file. Raises TroubleError if it is closed, or its disk full."""
    # Python has none if it was closed when the process began.
    if sys.stdout is None:
        raise TroubleError("standard output is closed")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still in the buffer would fail once more when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        told = f"standard output cannot be written: {error.strerror or error}"
        raise TroubleError(told) from error


def table(*columns: str, right: Collection[str] = (), gap: int = 3, head: bool = True) -> Table:
    """Return a table without lines; the columns named in `right` are right-aligned."""
    shown = Table(
        box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold", show_header=head
    )
    for column in columns:
        shown.add_column(column, no_wrap=True, justify="right" if column in right else "left")
    return shown


def print_table(shown: Table) -> None:
    """Print a table without trailing blanks."""
    console = Console(width=TABLE_WIDTH, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def instant(moment: datetime, separator: str = "T") -> str:
    """Write an instant in UTC, to the second."""
    in_utc = moment.astimezone(UTC)
    return f"{in_utc:%Y-%m-%d}{separator}{in_utc:%H:%M:%S}Z"


def span(length: timedelta) -> str:
    """Write a length of time in at most two units: "2 h 5 min"."""
    seconds = int(length.total_seconds())
    units = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min")]
    units.append((seconds % 60, "s"))
    first = next((i for i, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2])


def until(moment: datetime) -> str:
    """Write how long it is until an instant, or how long ago it was."""
    left = moment - datetime.now(UTC)
    return ago(moment) if left < timedelta(0) else span(left)


def ago(moment: datetime) -> str:
    """Write how long ago an instant was; never less than 0 s, since clocks may differ."""
    return f"{span(max(datetime.now(UTC) - moment, timedelta(0)))} ago"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write "1 worker" or "3 workers"; give `many` if the plural is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


@contextmanager
def status_line(text: str) -> Iterator[Callable[[str], None]]:
    """Show a line on standard error if that is a terminal; yields a function that changes it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _text: None
        return
    with console.status(text) as status:
        yield status.update


def progress_bar(label: str, *, shown: bool) -> Progress:
    """Return a bar for standard error, which shows nothing unless that is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        # Standard output that goes to a file must not contain the bar.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=False,
        disable=not (console.is_terminal and shown),
    )
