"""Shows what was answered: to a person, or as JSON."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import click
import orjson
from rich.console import Console
from rich.status import Status
from rich.table import Table

Json = dict[str, Any]

#: Where no terminal says how wide it is: nothing is to be cut.
PIPE_WIDTH: Final = 200

KINDS: Final = {
    "missing": "pending in PostgreSQL, not in the table",
    "stale": "in the table, nothing pending in PostgreSQL",
    "different": "another deadline or number of essays",
}


def as_json(document: object) -> None:
    """Print a JSON document in a line."""
    click.echo(orjson.dumps(document))


# --- what a worker holds --------------------------------------------------------------------------


def overview(document: Json) -> None:
    """Print where the tables are."""
    for table in document["tables"]:
        workers = table["workers"]
        held = (
            f"{_counted(table['entries'], 'entry', 'entries')} in {table['partitions']} partitions"
        )
        _print(f"{table['name']}: {held}, {_counted(len(workers), 'worker', 'workers')}")
        shown = _table("worker", "partitions", "entries", "lag", "state")
        for column in (2, 3):
            shown.columns[column].justify = "right"
        for worker in workers:
            shown.add_row(*_worker_row(worker))
        if workers:
            _print(shown)


def _worker_row(worker: Json) -> Sequence[str]:
    held = worker["partitions"]
    if not worker["reachable"]:
        return worker["worker"], _ranges(held), "?", "?", "does not answer"
    state = "recovered" if worker["recovered"] else "recovering"
    entries, lag = f"{worker['entries']:,}", f"{worker['changelog_lag']:,}"
    return worker["worker"], _ranges(held), entries, lag, state


def _ranges(numbers: Iterable[int]) -> str:
    """Write 0, 1, 2, 5 as "0-2 5"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "-"


# --- entries --------------------------------------------------------------------------------------


class Listing:
    """Prints entries as they come: in columns of a fixed width, or a JSON object a line."""

    _LINE: Final = "{:<20}  {:>12}  {:>6}  {:<36}  {:<36}  {:>4}  {}"

    def __init__(self, *, as_json: bool) -> None:
        self.count = 0
        self._as_json = as_json
        self._more = False

    def add(self, entries: Sequence[Json]) -> None:
        """Print a page."""
        if entries and not self.count and not self._as_json:
            head = ("due", "in", "essays", "batch", "class", "part", "worker")
            click.echo(self._LINE.format(*head))
        for entry in entries:
            self.count += 1
            click.echo(orjson.dumps(entry) if self._as_json else self._line(entry))

    def more(self) -> None:
        """Take note that there are more entries than were asked for."""
        self._more = True

    def end(self) -> None:
        """Say how many there were."""
        if self._as_json:
            return
        total = _counted(self.count, "entry", "entries") if self.count else "No entries"
        click.echo(f"{total}; there are more: --limit or --all" if self._more else f"{total}.")

    def _line(self, entry: Json) -> str:
        due = datetime.fromisoformat(entry["confirm_by"])
        return self._LINE.format(
            _at(due),
            _until(due),
            entry["pending_count"],
            entry["batch_id"],
            entry["class_id"],
            entry["partition"],
            entry["worker"],
        )


def entry(document: Json) -> None:
    """Print an entry beside what the database says of its batch."""
    due = datetime.fromisoformat(document["confirm_by"])
    _print(f"batch {document['batch_id']} of class {document['class_id']}")
    _print(f"in partition {document['partition']} on {document['worker']}, ", end="")
    _print(f"armed {_at(datetime.fromisoformat(document['armed_at']))}")
    _print(f"falls due {_when(due)}")
    _print("")
    database = document["database"] or {}
    shown = _table("", "table", "PostgreSQL")
    shown.add_row(
        "pending essays", _text(document["pending_count"]), _text(database, "pending_count")
    )
    shown.add_row("confirm by", _text(document["confirm_by"]), _text(database, "confirm_by"))
    shown.add_row("closed at", "", _text(database, "closed_at"))
    _print(shown)
    _print("")
    _print(_verdict(document))


def differs(document: Json) -> bool:
    """Tell whether the table says something else than the database."""
    database = document["database"]
    members = ("pending_count", "confirm_by")
    return not database or any(database[name] != document[name] for name in members)


def _verdict(document: Json) -> str:
    database = document["database"]
    if not differs(document):
        return "Table and PostgreSQL agree."
    if not database:
        said = "PostgreSQL has no such batch: the entry is stale."
    elif not database["pending_count"]:
        said = "Nothing of the batch is pending in PostgreSQL: the entry is stale."
    else:
        said = "Table and PostgreSQL differ."
    return f"{said} If it stays so: class-management tables repair"


def _text(value: Any, member: str | None = None) -> str:  # noqa: ANN401  # JSON
    found = value.get(member) if member else value
    if found is None:
        return "-"
    return _at(datetime.fromisoformat(found)) if isinstance(found, str) else f"{found:,}"


# --- drift ----------------------------------------------------------------------------------------


def drift(document: Json, *, repair: bool) -> None:
    """Print what a comparison found."""
    silent = sum(not worker["reachable"] for worker in document["workers"])
    workers = _counted(len(document["workers"]) - silent, "worker", "workers")
    batches = _counted(document["checked"], "batch", "batches")
    found = sum(document[kind] for kind in KINDS)
    if not found:
        there = "" if document["complete"] else " there"
        _print(f"{batches} compared on {workers}: table and PostgreSQL agree{there}.")
        return
    _print(f"{batches} compared on {workers}: {found:,} differ.")
    shown = _table("", "batches", "")
    shown.columns[1].justify = "right"
    for kind, meaning in KINDS.items():
        shown.add_row(kind, f"{document[kind]:,}", meaning)
    _print(shown)
    for batch_id in document["examples"]:
        _print(f"  {batch_id}")
    if repair:
        _print(f"{document['mended']:,} mended: their timers are published again from PostgreSQL.")
    else:
        _print("To mend them: class-management tables repair")


class Progress:
    """Shows on a terminal how a comparison gets on."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("asking the workers")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, document: Json) -> None:
        """Show where it stands."""
        if self._status is not None:
            at_work = sum(bool(worker["running"]) for worker in document["workers"])
            workers = _counted(at_work, "worker compares", "workers compare")
            self._status.update(f"{document['checked']:,} batches compared, {workers}")


# --- how things are written -----------------------------------------------------------------------


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _until(moment: datetime) -> str:
    """Write how long it is until then, in two units at the most."""
    left = moment - datetime.now(UTC)
    return f"{_span(-left)} ago" if left < timedelta(0) else _span(left)


def _when(moment: datetime) -> str:
    until = _until(moment)
    return f"{_at(moment)}, {until if until.endswith('ago') else f'in {until}'}"


def _span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    units = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min")]
    units.append((seconds % 60, "s"))
    first = next((i for i, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2])


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(what: str | Table, end: str = "\n") -> None:
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, highlight=False, markup=False)
    console.print(what, end=end, soft_wrap=isinstance(what, str))
