"""What imports remember of a student: their rows stay, without names and addresses."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson

from rules.personal import redaction
from rules.personal.redaction import Traces
from rules.personal.subjects import Known, in_file_names
from store.postgres import outbox, rows, sql
from store.postgres.database import Connection
from store.postgres.privacy.work import AT_ONCE, Work

#: Behind which the first page is.
_BEGIN: Final = UUID(int=0), 0
_VALUES: Final = ("before", "after")
_TEXTS: Final = ("errors", "notices")


async def forget_student(work: Work, known: Known) -> None:
    """Take a student out of its owner's imports; plans that are about it are none any more."""
    traces = Traces(work.erasure.subject.id, names=known.names)
    await work.update(
        "imports", sql.privacy.SCRUB_IMPORTS, in_file_names(known.names), known.owner_id
    )
    place: tuple[UUID, int] | None = _BEGIN
    while place is not None:
        place = await work.portion("import_rows", partial(_page, known, traces, place))


async def _page(
    known: Known, traces: Traces, place: tuple[UUID, int], connection: Connection
) -> tuple[int, tuple[UUID, int] | None]:
    student_id = UUID(traces.student_id)
    values = known.owner_id, *place, student_id, known.names, AT_ONCE
    found = await connection.fetch(sql.privacy.IMPORT_ROWS, *values)
    hers = [row for row in found if row["student_id"] == student_id or row["is_nobodys"]]
    new = [row for row in (_rewritten(row, traces) for row in found) if row]
    if new:
        await connection.execute(sql.privacy.REWRITE_IMPORT_ROWS, *outbox.transposed(new, 6))
    await connection.execute(sql.privacy.END_PLANS, [row["import_id"] for row in hers])
    last = (found[-1]["import_id"], found[-1]["number"]) if found else None
    return len(new), last


def _rewritten(row: rows.Row, traces: Traces) -> Sequence[Any] | None:
    """Return the row as it is without the student, None if it is so already.

    Of a namesake, another student, the values stay. Whom a plan would make has an id that is
    nobody's, and is told by name or address, as is one who was deleted.
    """
    before = {name: orjson.loads(row[name] or b"null") for name in (*_VALUES, *_TEXTS)}
    values = [before[name] for name in _VALUES]
    is_hers = str(row["student_id"]) == traces.student_id or (
        row["is_nobodys"] and redaction.of_student(values, traces) != values
    )
    is_anothers = row["student_id"] is not None and not is_hers
    part = {name: before[name] for name in (_TEXTS if is_anothers else (*_VALUES, *_TEXTS))}
    if is_hers:
        part["student_id"] = traces.student_id
    after = {**before, **redaction.of_student(part, traces)}
    after.pop("student_id", None)
    if after == before:
        return None
    new = (after[name] for name in (*_VALUES, *_TEXTS))
    return (row["import_id"], row["number"], *(_json(value) for value in new))


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
