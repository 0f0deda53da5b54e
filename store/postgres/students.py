"""Making students: for teachers, and for the clock that needs an UNKNOWN one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from rules import roster_events
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ServiceError,
    StudentNotFoundError,
)
from rules.ids import new_id
from rules.models import Caller, ClassSummary, NewStudent, StudentRecord, Trace
from rules.timeouts import unknown_student_email, unknown_student_name
from store.postgres import outbox, rows, sql
from store.postgres.database import Connection
from store.protocols import CreateStudent

EMAIL_CONSTRAINT: Final = "students_owner_email"


async def create(
    connection: Connection, requests: Sequence[CreateStudent]
) -> list[StudentRecord | ServiceError]:
    """Make students in one statement, after one that reads the classes they join.

    A class deleted between the two fails the second on its foreign key; the whole is then
    done again and the class is missed.
    """
    classes = await _classes_of(connection, requests)
    accepted: dict[UUID, CreateStudent] = {}
    for request in requests:
        if _may_join(request, classes):
            accepted.setdefault(request.new.id, request)
    made = await _insert(connection, list(accepted.values()), classes)
    others = list({request.new.id for request in requests} - made.keys())
    there = await connection.fetch(sql.STUDENTS_BY_ID, others) if others else []
    made.update((row["id"], rows.student_record(row)) for row in there)
    return [_result(request, classes, made) for request in requests]


async def _classes_of(
    connection: Connection, requests: Iterable[CreateStudent]
) -> dict[UUID, ClassSummary]:
    class_ids = {class_id for request in requests for class_id in request.new.class_ids}
    if not class_ids:
        return {}
    found = await connection.fetch(sql.READ_CLASSES, list(class_ids))
    return {row["id"]: rows.class_summary(row) for row in found}


def _may_join(request: CreateStudent, classes: Mapping[UUID, ClassSummary]) -> bool:
    joined = (classes.get(class_id) for class_id in request.new.class_ids)
    return all(cls is not None and cls.owner_id == request.caller.user_id for cls in joined)


async def _insert(
    connection: Connection,
    requests: Sequence[CreateStudent],
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
    messages = [
        (r.new.id, message)
        for r in requests
        for message in roster_events.student_created(
            r.caller, r.new, [classes[class_id] for class_id in r.new.class_ids]
        )
    ]
    made = await connection.fetch(
        sql.INSERT_STUDENTS,
        *outbox.transposed(values, 6),
        *outbox.transposed(enrolments, 2),
        *outbox.columns_of(messages),
    )
    by_id = {request.new.id: request.new for request in requests}
    return {row["id"]: _made(by_id[row["id"]], row) for row in made}


def _made(new: NewStudent, row: rows.Row) -> StudentRecord:
    return StudentRecord(
        id=new.id,
        owner_id=row["owner_id"],
        name=new.name,
        email=new.email,
        class_ids=tuple(sorted(new.class_ids)),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _result(
    request: CreateStudent,
    classes: Mapping[UUID, ClassSummary],
    found: Mapping[UUID, StudentRecord],
) -> StudentRecord | ServiceError:
    record = found.get(request.new.id)
    if record is not None and record.owner_id == request.caller.user_id:
        return record
    if not _may_join(request, classes):
        return ClassNotFoundError()
    return EmailConflictError() if record is None else StudentNotFoundError()


async def unknown_students(
    connection: Connection, classes: Mapping[UUID, tuple[ClassSummary, Trace]]
) -> dict[UUID, UUID]:
    """Return the UNKNOWN student of each class, made where it is not there yet."""
    if not classes:
        return {}
    found = await _find_unknown(connection, classes)
    missing = {i: value for i, value in classes.items() if i not in found}
    if missing:
        await create(connection, [_unknown(cls, trace) for cls, trace in missing.values()])
        # Whoever made one at the same moment has made it for both.
        found.update(await _find_unknown(connection, missing))
    return found


def _unknown(cls: ClassSummary, trace: Trace) -> CreateStudent:
    email = unknown_student_email(cls.id)
    new = NewStudent(new_id(), unknown_student_name(), email, (cls.id,))
    return CreateStudent(Caller(cls.owner_id, trace), new)


async def _find_unknown(
    connection: Connection, classes: Mapping[UUID, tuple[ClassSummary, Trace]]
) -> dict[UUID, UUID]:
    wanted = [(cls.id, cls.owner_id, unknown_student_email(cls.id)) for cls, _ in classes.values()]
    found = await connection.fetch(sql.FIND_BY_EMAIL, *outbox.transposed(wanted, 3))
    return {row["class_id"]: row["id"] for row in found}
