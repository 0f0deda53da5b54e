"""Applies a class's part of an import, in a transaction: what rules.imports.applying says."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from rules.changes import Created, NewClassRequest, NewStudentRequest
from rules.emails import key_of
from rules.errors import ServiceError, ValidationFailedError
from rules.events import roster as events
from rules.history import Change
from rules.ids import new_id
from rules.imports.applying import (
    Facts,
    LeftOut,
    LeftOutError,
    Part,
    Step,
    StudentStep,
    changes_of,
    make_step,
    tell_changed,
)
from rules.imports.plans import ClassPlan, PlannedRow, RowEntity, RowKind
from rules.joining import Outcome
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    ClassSummary,
    OutboxMessage,
    StudentRecord,
)
from store.clock import utc_now
from store.pace import Pace
from store.postgres import (
    changes,
    import_rows,
    outbox,
    roster,
    roster_states,
    rows,
    sql,
    student_updates,
    students,
)
from store.postgres.database import Connection

T = TypeVar("T")

#: Students that one statement changes, so that none takes longer than a command may.
STUDENTS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Work:
    """A part to be applied, and for whom."""

    import_id: UUID
    number: int
    caller: Caller
    plan: ClassPlan


async def apply(connection: Connection, work: Work) -> None:
    """Apply a part in the connection's transaction. Raises LeftOutError."""
    part = await _part(connection, work)
    cls = await _locked_class(connection, work)
    await _lock_batches(connection, work, part.rows)
    records = await _locked_students(connection, work, part.student_ids)
    part = await _with_made(connection, work, part, records)
    known = {*records, *(part.resting - part.student_ids)}
    class_ids = [] if cls is None else [cls.id]
    state = await roster_states.of_touched(connection, work.caller.user_id, class_ids, known)
    step = make_step(part, Facts(cls, state, records))
    await _carry_out(connection, work, step, cls)
    await _take_over(connection, work, step, part)


# --- what is read ------------------------------------------------------------------------------


async def _part(connection: Connection, work: Work) -> Part:
    found = await connection.fetch(sql.imports.PART_ROWS, work.import_id, work.number)
    planned = await import_rows.planned_rows(found)
    resting = {row["student_id"] for row in found if row["rests"]}
    kept = {row["student_id"] for row in found if row["kept"]}
    return Part(work.plan, planned, resting, kept=kept)


async def _with_made(
    connection: Connection, work: Work, part: Part, records: Iterable[UUID]
) -> Part:
    """Return a part with the rows of others that create students of it who are not there."""
    own = {row.student_id for row in part.rows if row.kind is RowKind.CREATED}
    missing = part.student_ids - own - set(records)
    if not missing:
        return part
    found = await connection.fetch(sql.imports.CREATING_ROWS, work.import_id, list(missing))
    creating = await import_rows.planned_rows(found)
    made = {row.student_id: row for row in creating if row.student_id is not None}
    return Part(part.plan, part.rows, part.resting, made, part.kept)


async def _locked_class(connection: Connection, work: Work) -> ClassRecord | None:
    """Lock the class so that nobody joins or leaves; None: it is new, or there is none."""
    class_id = work.plan.class_id
    if class_id is None:
        return None
    row = await connection.fetchrow(
        sql.classes.LOCK_CLASS_AND_ROSTER, class_id, work.caller.user_id
    )
    if row is None and not work.plan.is_new:
        raise LeftOutError(LeftOut.MOVED)
    return None if row is None else rows.class_record(row)


async def _lock_batches(connection: Connection, work: Work, planned: Sequence[PlannedRow]) -> None:
    """Lock the batches whose suggestions are withdrawn, before the students."""
    leaving = _students_of(planned, RowKind.LEFT)
    deleted = _students_of(planned, RowKind.DELETED)
    owner_id, lock = work.caller.user_id, sql.imports.LOCK_BATCHES_SUGGESTING
    if deleted:  # wherever they are suggested, and in one order
        await connection.execute(lock, leaving + deleted, owner_id, None)
    elif leaving:
        await connection.execute(lock, leaving, owner_id, [work.plan.class_id])


def _students_of(planned: Iterable[PlannedRow], kind: RowKind) -> list[UUID]:
    return [
        row.student_id
        for row in planned
        if row.kind is kind and row.student_id is not None and row.entity is RowEntity.STUDENT
    ]


async def _locked_students(
    connection: Connection, work: Work, ids: Iterable[UUID]
) -> dict[UUID, StudentRecord]:
    """Lock first, then read: what is read while waiting for the locks may be stale."""
    wanted = list(ids)
    if not wanted:
        return {}
    locked = await connection.fetch(sql.students.LOCK_STUDENTS, wanted)
    found = await students.read(connection, [row["id"] for row in locked])
    return {i: one for i, one in found.items() if one.owner_id == work.caller.user_id}


# --- what is written ---------------------------------------------------------------------------


async def _carry_out(
    connection: Connection, work: Work, step: Step, there: ClassRecord | None
) -> None:
    """Do what a step says; `there` is its class, locked, unless it is new. Raises LeftOutError."""
    caller = work.caller
    try:
        cls = await _carry_out_class(connection, caller, step, there)
    except ServiceError as error:
        raise LeftOutError(LeftOut.CONFLICT) from error
    await _free(connection, step.changed)
    await _delete(connection, caller, step.deleted)
    await _claim(connection, caller, [one.after for one in step.changed if one.frees])
    for some in _pieces(step.changed):
        await _change(connection, caller, some, cls)
    await _withdraw(connection, caller, step.leaving, step.class_id)
    requests = [NewStudentRequest(caller, new) for new in step.created]
    for piece in _pieces(requests):
        await _create(connection, piece)
    await _mark(connection, step, is_new=there is None)


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), STUDENTS_AT_ONCE):
        yield items[start : start + STUDENTS_AT_ONCE]


async def _carry_out_class(
    connection: Connection, caller: Caller, step: Step, there: ClassRecord | None
) -> ClassSummary | None:
    """Create or change the class, and return it. Raises ServiceError."""
    if step.class_id is None:
        return None
    if there and not step.new_class and not step.class_change:
        return there.summary
    if step.new_class:
        request = NewClassRequest(caller, step.new_class)
        (made,) = await roster.create_classes(connection, [request])
        if isinstance(made, ServiceError):
            raise made
        return made.record.summary
    change = step.class_change or ClassChange()
    changed = await roster.update_class(connection, caller, step.class_id, change)
    return changed.summary


async def _free(connection: Connection, changed: Sequence[StudentStep]) -> None:
    freed = [one.before.id for one in changed if one.frees]
    if freed:
        await connection.execute(sql.imports.FREE_VALUES, freed)


async def _delete(connection: Connection, caller: Caller, deleted: Sequence[StudentRecord]) -> None:
    """Delete students as roster.delete_student does, many at once."""
    if not deleted:
        return
    await _withdraw(connection, caller, [one.id for one in deleted], None)
    correlations = changes.correlations(connection, [caller.trace])
    await connection.executemany(
        sql.students.DELETE_STUDENT, [(one.id, correlations) for one in deleted]
    )
    at, messages = utc_now(), []
    for one in deleted:
        messages += events.student_deleted(caller, one.id, one.external_id, at)
    await outbox.put(connection, messages)


async def _claim(connection: Connection, caller: Caller, wanted: Sequence[StudentRecord]) -> None:
    """Keep addresses and external ids until the commit. Raises LeftOutError.

    Their students have none at the moment; who has one of them now is in the way.
    """
    values = [
        (new_id(), one.email, None if one.email is None else key_of(one.email), one.external_id)
        for one in wanted
        if one.email is not None or one.external_id is not None
    ]
    for some in _pieces(values):
        ids, *columns = outbox.transposed(some, 4)
        made = await connection.fetch(sql.imports.CLAIM_VALUES, ids, caller.user_id, *columns)
        if len(made) < len(some):
            raise LeftOutError(LeftOut.CONFLICT)
    # Only when all are claimed: two that want the same are in each other's way.
    if values:
        await connection.execute(sql.students.DROP_CLAIMS, [one[0] for one in values])


async def _change(
    connection: Connection,
    caller: Caller,
    changed: Sequence[StudentStep],
    cls: ClassSummary | None,
) -> None:
    """Store what students become, who joins and who leaves, and tell it."""
    at, pace = utc_now(), Pace()
    messages: list[OutboxMessage] = []
    told: list[Change] = []
    for one in changed:
        messages += tell_changed(caller, one, cls, at)
        told += changes_of(caller, one)
        await pace.keep()
    await student_updates.store(connection, [one.after for one in changed])
    leaving = [one.before.id for one in changed if one.leaves]
    if leaving and cls:
        await connection.execute(sql.imports.TAKE_OUT, cls.id, leaving)
    joining = [one.before.id for one in changed if one.joins]
    if joining and cls:
        await connection.execute(sql.imports.PUT_IN, cls.id, joining, caller.user_id)
    await outbox.put(connection, messages)
    await changes.put(connection, told)


async def _withdraw(
    connection: Connection, caller: Caller, leaving: Sequence[UUID], class_id: UUID | None
) -> None:
    """Make students nobody's choice in the batches of a class; None is all."""
    if not leaving:
        return
    found = await connection.fetch(sql.imports.SUGGESTED_AMONG, leaving, class_id)
    class_ids = None if class_id is None else [class_id]
    for row in found:
        await roster.withdraw(connection, caller, row["id"], class_ids)


async def _create(connection: Connection, requests: Sequence[NewStudentRequest]) -> None:
    """Create students as requests do. Raises LeftOutError if one cannot be."""
    made: list[Outcome] = await students.create(connection, requests)
    for one in made:
        if isinstance(one, ValidationFailedError):
            raise LeftOutError(LeftOut.FULL) from one
        if not isinstance(one, Created) or not one.is_new:
            raise LeftOutError(LeftOut.CONFLICT)


async def _mark(connection: Connection, step: Step, *, is_new: bool) -> None:
    """Remember what the import leaves."""
    marks = [
        (
            student_id,
            mark.name.first_name,
            mark.name.last_name,
            mark.name.legal_full_name,
            mark.email,
            mark.external_id,
        )
        for student_id, mark in step.marks.items()
    ]
    for some in _pieces(marks):
        await connection.execute(sql.imports.MARK_STUDENTS, *outbox.transposed(some, 6))
    if step.class_id is None:
        return
    if mark := step.class_mark:
        await connection.execute(sql.imports.MARK_CLASS, step.class_id, mark.name, mark.external_id)
    if step.members is not None:
        members = list(step.members)
        if not is_new:
            await connection.execute(sql.imports.UNMARK_MEMBERS, step.class_id, members)
        await connection.execute(sql.imports.MARK_MEMBERS, step.class_id, members)


async def _take_over(connection: Connection, work: Work, step: Step, part: Part) -> None:
    """Have the rows say that students were created here whom another part was to create."""
    if not step.created_here:
        return
    ids = list(step.created_here)
    values = [import_rows.json_text(part.made[one].after) for one in ids]
    await connection.execute(sql.imports.TAKE_OVER, work.import_id, work.number, ids, values)
