"""Imports, their parts and their rows, as PostgreSQL has them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import orjson

from rules.events.envelopes import to_json
from rules.imports.applying import kept_by_hand
from rules.imports.files import CellError
from rules.imports.fingerprints import resting_students
from rules.imports.plans import (
    ClassPlan,
    ImportRecord,
    ImportState,
    Mode,
    Notice,
    NoticeCode,
    Plan,
    PlannedRow,
    RowEntity,
    RowKind,
    Summary,
)
from store.pace import Pace
from store.postgres import outbox
from store.postgres.rows import Row

#: Rows that one statement stores or reads.
ROWS_AT_ONCE: Final = 2_000


def record(row: Row) -> ImportRecord:
    """Read an import."""
    state, total = ImportState(row["state"]), row["rows_total"]
    over = row["rows_over"] / total if total else 0.0
    return ImportRecord(
        id=row["id"],
        owner_id=row["owner_id"],
        state=state,
        mode=Mode(row["mode"]),
        class_id=row["class_id"],
        summary=Summary(**orjson.loads(row["summary"])),
        progress=1.0 if state is ImportState.APPLIED else over,
        version=row["version"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        undoes=row["undoes"],
        filename=row["filename"],
        is_large=row["is_large"],
        left_out=tuple(row["left_out"]),
        undone_by=row["undone_by"],
    )


def part(row: Row) -> ClassPlan:
    """Read the part of a class."""
    return ClassPlan(
        class_id=row["class_id"],
        fingerprint=row["fingerprint"],
        is_new=row["is_new"],
        is_large=row["is_large"],
        has_errors=row["has_errors"],
        taken_out=row["taken_out"],
        changed=row["changed"],
        size=row["size"],
    )


def planned_row(row: Row) -> PlannedRow:
    """Read a row; with plain UUIDs, since JSON is slow with asyncpg's."""
    return PlannedRow(
        RowKind(row["kind"]),
        RowEntity(row["entity"]),
        row["line"],
        row["file"],
        _plain(row["class_id"]),
        _plain(row["student_id"]),
        _read(row["before"]),
        _read(row["after"]),
        tuple(CellError(**one) for one in _read(row["errors"]) or ()),
        tuple(_notice(one) for one in _read(row["notices"]) or ()),
    )


async def planned_rows(found: Iterable[Row]) -> list[PlannedRow]:
    """Read many rows, and let others run in between."""
    pace, read = Pace(), []
    for row in found:
        read.append(planned_row(row))
        await pace.keep()
    return read


def part_columns(plan: Plan) -> outbox.Columns:
    """Return the parts of a plan as INSERT_PARTS takes them, with the number of their rows."""
    numbers = part_numbers(plan)
    counts = dict.fromkeys(numbers, 0)
    for row in plan.rows:
        if row.class_id in counts:
            counts[row.class_id] += 1
    values = [
        (
            numbers[one.class_id],
            one.class_id,
            one.fingerprint,
            one.is_new,
            one.is_large,
            one.has_errors,
            one.taken_out,
            one.changed,
            one.size,
            counts[one.class_id],
        )
        for one in plan.classes
    ]
    return outbox.transposed(values, 10)


def part_numbers(plan: Plan) -> dict[UUID | None, int]:
    """Return the number of each class's part."""
    return {one.class_id: number for number, one in enumerate(plan.classes, start=1)}


async def row_columns(plan: Plan, *, is_undo: bool) -> AsyncIterator[outbox.Columns]:
    """Yield the rows of a plan as INSERT_ROWS takes them, so many at once."""
    numbers, kept = part_numbers(plan), kept_by_hand(plan.rows, is_undo=is_undo)
    resting, pace = resting_students(plan.rows), Pace()
    for start in range(0, len(plan.rows), ROWS_AT_ONCE):
        values = []
        for number, row in enumerate(plan.rows[start : start + ROWS_AT_ONCE], start=start + 1):
            rests = row.student_id in resting.get(row.class_id, ()) and _is_student(row)
            values.append((*_row_values(number, row, numbers), rests, row.student_id in kept))
            await pace.keep()
        yield outbox.transposed(values, 14)


def _is_student(row: PlannedRow) -> bool:
    return row.entity is RowEntity.STUDENT


def _row_values(
    number: int, row: PlannedRow, numbers: Mapping[UUID | None, int]
) -> tuple[Any, ...]:
    return (
        number,
        numbers.get(row.class_id),
        row.kind.value,
        row.entity.value,
        row.line,
        row.file,
        row.class_id,
        row.student_id,
        _json(row.before),
        _json(row.after),
        _json([asdict(one) for one in row.errors]),
        _json([asdict(one) for one in row.notices]),
    )


def _json(value: Mapping[str, Any] | Sequence[Any] | None) -> str | None:
    """Write JSON; nothing is null. An empty object is not nothing."""
    return None if value is None or value == [] else to_json(value).decode()


def json_text(value: Mapping[str, Any] | None) -> str | None:
    """Write the values of a student or class."""
    return _json(value)


def _read(text: str | None) -> Any:  # noqa: ANN401  # JSON
    return None if text is None else orjson.loads(text)


def _notice(value: Mapping[str, Any]) -> Notice:
    student_id = value["student_id"]
    return Notice(
        NoticeCode(value["code"]),
        value["detail"],
        None if student_id is None else UUID(student_id),
        value["other_line"],
    )


def _plain(value: UUID | None) -> UUID | None:
    return None if value is None else UUID(int=value.int)
