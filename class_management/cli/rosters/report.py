"""Shows plans and imports, with nobody's name or address."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import click

from class_management.cli import output
from class_management.cli.output import Json, print_table
from class_management.cli.runner import warn
from rules.imports.plans import ClassPlan, ImportRecord, Plan, PlannedRow, RowKind, Summary
from rules.shown import printable

#: How many rows with errors are named, and how many with something worth a look.
MOST_NAMED: Final = 20

_COUNTS: Final[Mapping[str, str]] = {
    "classes_created": "classes are new",
    "classes_updated": "classes change",
    "created": "students are new",
    "updated": "students change",
    "joined": "join a class",
    "left": "leave a class",
    "unchanged": "are unchanged",
    "errors": "errors",
}


def summary(counts: Summary) -> None:
    """Print how many rows are of each kind."""
    shown = output.table("", "", right={""}, gap=1, head=False)
    for member, words in _COUNTS.items():
        count = getattr(counts, member)
        if count or not member.startswith("classes"):
            shown.add_row(f"{count:,}", words)
    print_table(shown)


def faults(plan: Plan) -> None:
    """Print where the file is wrong, and what is worth a look."""
    wrong = [row for row in plan.rows if row.kind is RowKind.ERROR]
    for row in wrong[:MOST_NAMED]:
        for one in row.errors:
            column = f"{printable(one.column)}: " if one.column else ""
            click.echo(f"{_place(row)}: {column}{one.detail} ({one.value_kind})")
    _rest(wrong, "row with errors", "rows with errors")
    noticed = [row for row in plan.rows if row.notices]
    for row in islice(noticed, MOST_NAMED):
        for notice in row.notices:
            click.echo(f"{_place(row)}: {notice.code.replace('_', ' ')}")
    _rest(noticed, "row is worth a look", "rows are worth a look")


def _rest(rows: Sequence[PlannedRow], one: str, many: str) -> None:
    if len(rows) > MOST_NAMED:
        click.echo(f"and {output.counted(len(rows) - MOST_NAMED, f'more {one}', f'more {many}')}")


def _place(row: PlannedRow) -> str:
    if row.line is None:
        return f"student {row.student_id}"
    return f"{row.file} line {row.line:,}" if row.file else f"line {row.line:,}"


def large(classes: Iterable[ClassPlan]) -> None:
    """Print which changes are large ones."""
    for one in classes:
        if one.is_large:
            warn(
                f"class {one.class_id}: takes out {one.taken_out:,} and changes {one.changed:,} "
                f"of {one.size:,}"
            )


def plan_document(plan: Plan) -> Json:
    """Return a plan for `--json`, without anybody's name or address."""
    return {
        "summary": _summary_document(plan.summary),
        "is_large": any(one.is_large for one in plan.classes),
        "classes": [
            {
                "class_id": str(one.class_id) if one.class_id else None,
                "is_new": one.is_new,
                "is_large": one.is_large,
                "has_errors": one.has_errors,
                "size": one.size,
                "taken_out": one.taken_out,
                "changed": one.changed,
            }
            for one in plan.classes
        ],
        "errors": [
            {
                "line": row.line,
                "file": row.file,
                "column": one.column,
                "value_kind": one.value_kind,
                "detail": one.detail,
            }
            for row in plan.rows
            for one in row.errors
        ],
    }


def import_document(record: ImportRecord) -> Json:
    """Return an import for `--json`."""
    return {
        "import_id": str(record.id),
        "state": record.state,
        "mode": record.mode,
        "class_id": str(record.class_id) if record.class_id else None,
        "summary": _summary_document(record.summary),
        "progress": record.progress,
        "left_out": [str(one) for one in record.left_out],
        "undoes": str(record.undoes) if record.undoes else None,
        "created_at": _instant(record),
    }


def _instant(record: ImportRecord) -> str:
    return record.created_at.isoformat().replace("+00:00", "Z")


def _summary_document(counts: Summary) -> Json:
    return {member: getattr(counts, member) for member in _COUNTS}


def ended(record: ImportRecord) -> None:
    """Print what became of an import."""
    click.echo(f"import {record.id}: {record.state}")
    for class_id in record.left_out:
        click.echo(f"class {class_id} was left out: it has changed meanwhile, or has errors")
