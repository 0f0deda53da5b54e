"""Students that are there already join classes, many in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from rules.changes import NewStudentRequest
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ServiceError,
    ValidationFailedError,
)
from rules.events import roster
from rules.history import Change, ChangeKind, enrollment_changes, student_change
from rules.joining import (
    Joined,
    Joining,
    Outcome,
    diff_of,
    is_called_otherwise,
    takes_external_id,
)
from rules.models import ClassSummary, OutboxMessage, StudentRecord
from store.clock import utc_now
from store.pace import Pace
from store.postgres import changes, external_ids, outbox, rows, sql
from store.postgres.database import Connection


@dataclass(slots=True)
class _Writes:
    """What is to be written; `records` are the students as they are then."""

    records: dict[UUID, StudentRecord]
    changed: list[UUID] = field(default_factory=list)
    enrolments: list[tuple[UUID, UUID, str]] = field(default_factory=list)
    called: list[tuple[UUID, str]] = field(default_factory=list)
    messages: list[OutboxMessage] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


async def join(
    connection: Connection, found: Sequence[tuple[NewStudentRequest, Joining]]
) -> dict[UUID, Outcome]:
    """Let students join, in this order; return the answers by the requests' ids.

    Those whose student was deleted meanwhile have none. The limit of the classes is checked before.
    """
    there: dict[UUID, Outcome] = {
        r.new.id: Joined(one.record) for r, one in found if _is_there(r, one.record)
    }
    rest = [(r, one) for r, one in found if r.new.id not in there]
    return there | await _join(connection, rest) if rest else there


def _is_there(request: NewStudentRequest, record: StudentRecord) -> bool:
    joins = set(request.new.class_ids) - set(record.class_ids)
    return not joins and not takes_external_id(record, request)


async def _join(
    connection: Connection, found: Sequence[tuple[NewStudentRequest, Joining]]
) -> dict[UUID, Outcome]:
    classes = await _kept_classes(connection, [request for request, _ in found])
    writes = _Writes(await _locked(connection, {joining.record.id for _, joining in found}))
    free = await _free_external_ids(connection, writes, found)
    answers: dict[UUID, Outcome] = {}
    pace = Pace()
    for request, joining in found:
        if joining.record.id in writes.records:
            is_free = request.new.id in free
            answers[request.new.id] = _plan(writes, request, joining, classes, is_free=is_free)
        await pace.keep()
    await _write(connection, writes)
    return answers


async def _kept_classes(
    connection: Connection, requests: Sequence[NewStudentRequest]
) -> dict[UUID, ClassSummary]:
    """Return the classes that are joined, and prevent their deletion."""
    class_ids = {class_id for request in requests for class_id in request.new.class_ids}
    kept = await connection.fetch(sql.classes.SHARE_CLASSES, list(class_ids)) if class_ids else []
    return {row["id"]: rows.class_summary(row) for row in kept}


async def _free_external_ids(
    connection: Connection,
    writes: _Writes,
    found: Sequence[tuple[NewStudentRequest, Joining]],
) -> set[UUID]:
    """Claim the external ids that students lack; return the requests that give one nobody has."""
    wanted = [
        (r.new.id, r.caller.user_id, r.new.external_id)
        for r, one in found
        if r.new.external_id is not None
        and one.record.id in writes.records
        and takes_external_id(writes.records[one.record.id], r)
    ]
    return await external_ids.claim(connection, wanted)


async def _locked(connection: Connection, ids: set[UUID]) -> dict[UUID, StudentRecord]:
    """Lock first, then read: what is read while waiting for the locks may be stale."""
    await connection.execute(sql.students.LOCK_STUDENTS, list(ids))
    found = await connection.fetch(sql.students.STUDENTS_BY_ID, list(ids))
    return {row["id"]: rows.student_record(row) for row in found}


def _plan(
    writes: _Writes,
    request: NewStudentRequest,
    joining: Joining,
    classes: Mapping[UUID, ClassSummary],
    *,
    is_free: bool,
) -> Joined | ServiceError:
    caller, student_id = request.caller, joining.record.id
    if not set(request.new.class_ids) <= classes.keys():
        return ClassNotFoundError()  # it was there a moment ago
    before = writes.records[student_id]
    if joining.by_email and is_called_otherwise(before, request):
        return EmailConflictError(student_id=student_id)  # since a moment ago
    takes_id = is_free and takes_external_id(before, request)
    try:
        diff = diff_of(before, request, takes_id=takes_id)
    except ValidationFailedError as refusal:
        return refusal
    if diff is None:
        return Joined(before)
    record = replace(diff.record, version=diff.record.version + 1)
    joined = [classes[class_id] for class_id in diff.joins]
    writes.records[student_id] = record
    writes.changed.append(student_id)
    if takes_id and record.external_id is not None:
        writes.called.append((student_id, record.external_id))
    writes.enrolments += ((student_id, class_id, record.owner_id) for class_id in diff.joins)
    writes.messages += roster.student_updated(caller, record, joined, (), utc_now())
    writes.changes.append(student_change(caller, before, record))
    writes.changes += enrollment_changes(caller, ChangeKind.CREATED, student_id, diff.joins)
    return Joined(record)


async def _write(connection: Connection, writes: _Writes) -> None:
    if not writes.changed:
        return
    enrolments = outbox.transposed(writes.enrolments, 3)
    called = outbox.transposed(writes.called, 2)
    await connection.execute(sql.students.JOIN_CLASSES, *enrolments, writes.changed, *called)
    await outbox.put(connection, writes.messages)
    await changes.put(connection, writes.changes)
