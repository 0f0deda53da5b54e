"""Plans made by hand, and what tests do with imports, whatever the store."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from rules.conditions import Condition
from rules.ids import new_id
from rules.imports.fingerprints import fingerprint, resting_students
from rules.imports.plans import (
    ClassPlan,
    ImportRecord,
    Mode,
    Plan,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
    Summary,
)
from rules.models import Caller
from rules.tags import import_tag
from store.protocols.imports import ApplyOptions, ImportsProtocol, NewImport, RowQuery, StoredRow

CREATED, UPDATED, UNCHANGED = RowKind.CREATED, RowKind.UPDATED, RowKind.UNCHANGED
JOINED, LEFT, DELETED, ERROR = RowKind.JOINED, RowKind.LEFT, RowKind.DELETED, RowKind.ERROR


def name(first: str, last: str) -> dict[str, Any]:
    """Return a name as rows have it."""
    return {"first_name": first, "last_name": last, "full_name": f"{first} {last}"}


def row(
    kind: RowKind, class_id: UUID | None, student_id: UUID | None = None, **after: object
) -> PlannedRow:
    """Return a row of a student."""
    return PlannedRow(kind, class_id=class_id, student_id=student_id, after=after or None)


def class_row(kind: RowKind, class_id: UUID, **after: object) -> PlannedRow:
    """Return a row of a class."""
    return PlannedRow(kind, RowEntity.CLASS, class_id=class_id, after=after or None)


def plan_of(
    state: RosterState,
    rows: Sequence[PlannedRow],
    *,
    large: Iterable[UUID] = (),
    faulty: Iterable[UUID] = (),
) -> Plan:
    """Return the plan with these rows; its parts are in the order in which rows name classes."""
    resting = resting_students(rows)
    parts = tuple(
        ClassPlan(
            class_id,
            fingerprint(state, class_id, resting.get(class_id, ())),
            is_new=class_id is not None and class_id not in state.classes,
            is_large=class_id in set(large),
            has_errors=class_id in set(faulty),
        )
        for class_id in dict.fromkeys(one.class_id for one in rows)
    )
    counts = Counter(one.kind for one in rows if one.entity is RowEntity.STUDENT)
    summary = Summary(
        created=counts[CREATED],
        updated=counts[UPDATED],
        unchanged=counts[UNCHANGED],
        joined=counts[JOINED],
        left=counts[LEFT],
        errors=counts[ERROR],
        deleted=counts[DELETED],
    )
    return Plan(parts, tuple(rows), summary)


def only(record: ImportRecord) -> Condition:
    """Return the condition that an import is as it was."""
    return Condition(frozenset({import_tag(record)}))


async def planned(
    imports: ImportsProtocol,
    teacher: Caller,
    *rows: PlannedRow,
    mode: Mode = Mode.ADD,
    large: Iterable[UUID] = (),
    faulty: Iterable[UUID] = (),
) -> ImportRecord:
    """Store a plan with these rows, made of the state of now."""
    state = await imports.roster_state(teacher.user_id, None)
    plan = plan_of(state, rows, large=large, faulty=faulty)
    return await imports.add_import(teacher, NewImport(new_id(), mode, plan))


async def begun(
    imports: ImportsProtocol,
    teacher: Caller,
    record: ImportRecord,
    *,
    force: bool = False,
    skip_errors: bool = False,
) -> ImportRecord:
    """Have it applied; nothing is done yet."""
    options = ApplyOptions(force=force, skip_errors=skip_errors)
    return await imports.apply_import(teacher, record.id, options, only(record))


async def finished(imports: ImportsProtocol, teacher: Caller, record: ImportRecord) -> ImportRecord:
    """Apply all classes of all imports, and return what became of this one."""
    while await imports.apply_next():
        pass
    return await imports.get_import(teacher.user_id, record.id)


async def applied(
    imports: ImportsProtocol, teacher: Caller, *rows: PlannedRow, mode: Mode = Mode.ADD
) -> ImportRecord:
    """Plan and apply rows."""
    record = await planned(imports, teacher, *rows, mode=mode)
    return await finished(imports, teacher, await begun(imports, teacher, record))


async def all_rows(
    imports: ImportsProtocol, owner_id: str, import_id: UUID, kind: RowKind | None = None
) -> list[StoredRow]:
    """Return all rows, read in small pages."""
    query, found = RowQuery(2, kind), list[StoredRow]()
    while True:
        page = await imports.import_rows(owner_id, import_id, query)
        found += page.rows
        if not page.more:
            return found
        query = replace(query, after=page.rows[-1].number)
