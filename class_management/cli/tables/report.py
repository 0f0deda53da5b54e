"""Shows the answers of the service to a person."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import click

from class_management.cli.output import (
    Json,
    counted,
    instant,
    print_json,
    print_table,
    table,
    until,
)

KINDS: Final = {
    "missing": "pending in PostgreSQL, not in the table",
    "stale": "in the table, nothing pending in PostgreSQL",
    "different": "another deadline or number of essays",
}


# --- what a worker holds --------------------------------------------------------------------------


def overview(document: Json) -> None:
    """Print which worker holds how much of each table."""
    for held in document["tables"]:
        workers = held["workers"]
        entries = counted(held["entries"], "entry", "entries")
        where = f"{held['partitions']} partitions, {counted(len(workers), 'worker')}"
        click.echo(f"{held['name']}: {entries} in {where}")
        shown = table("worker", "partitions", "entries", "lag", "state", right={"entries", "lag"})
        for worker in workers:
            shown.add_row(*_worker_row(worker))
        if workers:
            print_table(shown)


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
    """Prints entries page by page: in columns of fixed width, or one JSON object per line."""

    _LINE: Final = "{:<20}  {:>12}  {:>6}  {:<36}  {:<36}  {:>4}  {}"

    def __init__(self, *, as_json: bool) -> None:
        self.count = 0
        self._as_json = as_json

    def add(self, entries: Sequence[Json]) -> None:
        """Print a page."""
        if entries and not self.count and not self._as_json:
            head = ("due", "in", "essays", "batch", "class", "part", "worker")
            click.echo(self._LINE.format(*head))
        for entry in entries:
            self.count += 1
            if self._as_json:
                print_json(entry)
            else:
                click.echo(self._line(entry))

    def end(self, *, more: bool) -> None:
        """Print the number of entries, and whether there are `more` than the limit."""
        if self._as_json:
            return
        total = counted(self.count, "entry", "entries") if self.count else "No entries"
        click.echo(f"{total}; there are more: --limit or --all" if more else f"{total}.")

    def _line(self, entry: Json) -> str:
        due = datetime.fromisoformat(entry["confirm_by"])
        return self._LINE.format(
            instant(due, " "),
            until(due),
            entry["pending_count"],
            entry["batch_id"],
            entry["class_id"],
            entry["partition"],
            entry["worker"],
        )


def entry(document: Json) -> None:
    """Print an entry beside the database's row of its batch."""
    due = datetime.fromisoformat(document["confirm_by"])
    click.echo(f"batch {document['batch_id']} of class {document['class_id']}")
    armed = instant(datetime.fromisoformat(document["armed_at"]), " ")
    click.echo(f"in partition {document['partition']} on {document['worker']}, armed {armed}")
    due_in = until(due)
    click.echo(
        f"falls due {instant(due, ' ')}, {due_in if due_in.endswith('ago') else f'in {due_in}'}"
    )
    click.echo("")
    database = document["database"] or {}
    shown = table("", "table", "PostgreSQL")
    shown.add_row(
        "pending essays", _text(document["pending_count"]), _text(database, "pending_count")
    )
    shown.add_row("confirm by", _text(document["confirm_by"]), _text(database, "confirm_by"))
    shown.add_row("closed at", "", _text(database, "closed_at"))
    print_table(shown)
    click.echo("")
    click.echo(_verdict(document))


def differs(document: Json) -> bool:
    """Return whether table and database disagree."""
    database = document["database"]
    members = ("pending_count", "confirm_by")
    return not database or any(database[name] != document[name] for name in members)


def _verdict(document: Json) -> str:
    database = document["database"]
    if not differs(document):
        return "Table and PostgreSQL agree."
    if not database:
        verdict = "PostgreSQL has no such batch: the entry is stale."
    elif not database["pending_count"]:
        verdict = "Nothing of the batch is pending in PostgreSQL: the entry is stale."
    else:
        verdict = "Table and PostgreSQL differ."
    return f"{verdict} If it stays so: class-management tables repair"


def _text(value: Any, member: str | None = None) -> str:  # noqa: ANN401  # JSON
    found = value.get(member) if member else value
    if found is None:
        return "-"
    return instant(datetime.fromisoformat(found), " ") if isinstance(found, str) else f"{found:,}"


# --- drift ----------------------------------------------------------------------------------------


def drift(document: Json, *, repair: bool) -> None:
    """Print the results of a comparison."""
    silent = sum(not worker["reachable"] for worker in document["workers"])
    workers = counted(len(document["workers"]) - silent, "worker")
    batches = counted(document["checked"], "batch", "batches")
    found = sum(document[kind] for kind in KINDS)
    if not found:
        there = "" if document["complete"] else " there"
        click.echo(f"{batches} compared on {workers}: table and PostgreSQL agree{there}.")
        return
    click.echo(f"{batches} compared on {workers}: {found:,} differ.")
    shown = table("", "batches", "", right={"batches"})
    for kind, meaning in KINDS.items():
        shown.add_row(kind, f"{document[kind]:,}", meaning)
    print_table(shown)
    for batch_id in document["examples"]:
        click.echo(f"  {batch_id}")
    if repair:
        click.echo(
            f"{document['mended']:,} mended: their timers are published again from PostgreSQL."
        )
    else:
        click.echo("To mend them: class-management tables repair")


def progress(document: Json) -> str:
    """Write how far a comparison has come."""
    busy = sum(bool(worker["running"]) for worker in document["workers"])
    workers = counted(busy, "worker compares", "workers compare")
    return f"{document['checked']:,} batches compared, {workers}"
