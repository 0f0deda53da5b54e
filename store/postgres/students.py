"""Creating students: for teachers, and for the clock, which needs UNKNOWN (placeholders)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from rules.changes import Created, NewStudentRequest, distinct_runs, existing_student
from rules.emails import key_of
from rules.errors import ClassNotFoundError, EmailConflictError, ServiceError
from rules.events import roster
from rules.models import ClassSummary, NewStudent, OutboxMessage, StudentRecord
from store.clock import utc_now
from store.pace import Pace
from store.postgres import changes, outbox, rows, sql
from store.postgres.database import Connection


async def create(
    connection: Connection, requests: Sequence[NewStudentRequest]
) -> list[Created[StudentRecord] | ServiceError]:
    """Create students; a refusal takes its request's place and does not affect the others."""
    made: list[Created[StudentRecord] | ServiceError] = []
    for run in distinct_runs(requests, lambda request: request.new.id):
        made += await _create(connection, run)
    return made


async def _create(
    connection: Connection, requests: Sequence[NewStudentRequest]
) -> list[Created[StudentRecord] | ServiceError]:
    """Create students in one statement, after one that reads the classes they join.

    If a class is deleted between the two, the second fails on its foreign key; then all is repeated
    and the class is missed.
    """
    classes = await _classes_of(connection, requests)
    made = await _insert(connection, [r for r in requests if _may_join(r, classes)], classes)
    others = [request.new.id for request in requests if request.new.id not in made]
    found = await connection.fetch(sql.STUDENTS_BY_ID, others) if others else []
    existing = {row["id"]: rows.student_record(row) for row in found}
    return [
        Created(made[request.new.id], is_new=True)
        if request.new.id in made
        else _not_created(request, classes, existing.get(request.new.id))
        for request in requests
    ]


async def _classes_of(
    connection: Connection, requests: Iterable[NewStudentRequest]
) -> dict[UUID, ClassSummary]:
    class_ids = {class_id for request in requests for class_id in request.new.class_ids}
    if not class_ids:
        return {}
    found = await connection.fetch(sql.READ_CLASSES, list(class_ids))
    summaries = {row["id"]: rows.class_summary(row) for row in found}
    # With the ids as given: asyncpg has its own UUID class, which JSON is slow with.
    return {i: replace(summaries[i], id=i) for i in class_ids if i in summaries}


def _may_join(request: NewStudentRequest, classes: Mapping[UUID, ClassSummary]) -> bool:
    joined = (classes.get(class_id) for class_id in request.new.class_ids)
    return all(cls is not None and cls.owner_id == request.caller.user_id for cls in joined)


async def _insert(
    connection: Connection,
    requests: Sequence[NewStudentRequest],
    classes: Mapping[UUID, ClassSummary],
) -> dict[UUID, StudentRecord]:
    if not requests:
        return {}
    values = [
        (
            r.new.id,
            r.caller.user_id,
            r.new.name.first_name,
            r.new.name.last_name,
            r.new.name.legal_full_name,
            r.new.email,
        )
        for r in requests
    ]
    enrolments = [(class_id, r.new.id) for r in requests for class_id in r.new.class_ids]
    messages: list[tuple[UUID, OutboxMessage]] = []
    pace = Pace()
    at = utc_now()
    for r in requests:
        joined = [classes[class_id] for class_id in r.new.class_ids]
        events = roster.student_created(r.caller, r.new, joined, at)
        messages += ((r.new.id, message) for message in events)
        await pace.keep()
    made = await connection.fetch(
        sql.INSERT_STUDENTS,
        *outbox.transposed(values, 6),
        *outbox.transposed(enrolments, 2),
        *outbox.columns_of(messages),
        changes.correlations(connection, (r.caller.trace for r in requests)),
        [None if r.new.email is None else key_of(r.new.email) for r in requests],
        [r.new.is_placeholder for r in requests],
    )
    by_id = {request.new.id: request.new for request in requests}
    return {row["id"]: _record(by_id[row["id"]], row) for row in made}


def _record(new: NewStudent, row: rows.Row) -> StudentRecord:
    return StudentRecord(
        id=new.id,
        owner_id=row["owner_id"],
        name=new.name,
        email=new.email,
        class_ids=tuple(sorted(new.class_ids)),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        is_placeholder=new.is_placeholder,
    )


def _not_created(
    request: NewStudentRequest, classes: Mapping[UUID, ClassSummary], existing: StudentRecord | None
) -> Created[StudentRecord] | ServiceError:
    if existing is not None:
        return existing_student(existing, request)
    return EmailConflictError() if _may_join(request, classes) else ClassNotFoundError()
