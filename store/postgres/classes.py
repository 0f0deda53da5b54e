"""Classes and students on PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from rules import roster_events, timer_messages
from rules.changes import StudentDiff, changed_class, changed_student
from rules.envelopes import now
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ServiceError,
    StudentNotFoundError,
)
from rules.models import (
    Caller,
    ClassChange,
    ClassDetail,
    ClassRecord,
    ClassSummary,
    OutboxMessage,
    StudentChange,
    StudentRecord,
    Trace,
)
from store.postgres import outbox, rows, sql, students
from store.postgres.database import Connection, Database
from store.protocols import CreateClass, CreateStudent


class PostgresClassRepository:
    """Implements ClassRepositoryProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_classes(
        self, requests: Sequence[CreateClass]
    ) -> list[ClassRecord | ServiceError]:
        """Make classes in one statement."""
        unique: dict[UUID, CreateClass] = {}
        for request in requests:
            unique.setdefault(request.new.id, request)
        values = [
            (r.new.id, r.caller.user_id, r.new.name, r.new.course_code) for r in unique.values()
        ]
        messages = [
            (r.new.id, message)
            for r in unique.values()
            for message in roster_events.class_created(r.caller, r.new)
        ]

        async def work(connection: Connection) -> list[ClassRecord | ServiceError]:
            made = await connection.fetch(
                sql.INSERT_CLASSES, *outbox.transposed(values, 4), *outbox.columns_of(messages)
            )
            found = {row["id"]: rows.class_record(row) for row in made}
            if missing := [class_id for class_id in unique if class_id not in found]:
                there = await connection.fetch(sql.CLASSES_BY_ID, missing)
                found.update((row["id"], rows.class_record(row)) for row in there)
            return [_own_class(request, found.get(request.new.id)) for request in requests]

        return await self._database.run(work)

    async def list_classes(self, owner_id: str, limit: int, offset: int) -> list[ClassRecord]:
        """Return the owner's classes, newest first."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.LIST_CLASSES, owner_id, limit, offset)
        return [rows.class_record(row) for row in found]

    async def get_class(self, owner_id: str, class_id: UUID) -> ClassDetail:
        """Return a class with its students."""
        async with self._database.acquire() as connection:
            return await _class_with_students(connection, class_id, owner_id)

    async def update_class(
        self, caller: Caller, class_id: UUID, change: ClassChange
    ) -> ClassRecord:
        """Change a class."""

        async def work(connection: Connection) -> ClassRecord:
            row = await connection.fetchrow(sql.LOCK_CLASS, class_id, caller.user_id)
            if row is None:
                raise ClassNotFoundError
            current = rows.class_record(row)
            changed = changed_class(current, change)
            if changed is None:
                return current
            stamp = await connection.fetchrow(
                sql.UPDATE_CLASS, class_id, changed.name, changed.course_code
            )
            record = replace(changed, **dict(stamp or {}))
            await outbox.put(connection, roster_events.class_updated(caller, record))
            return record

        return await self._database.transact(work)

    async def delete_class(self, caller: Caller, class_id: UUID) -> None:
        """Delete a class, its enrolments and its pending associations."""

        async def work(connection: Connection) -> None:
            locked = await connection.fetchval(sql.LOCK_CLASS_TO_DELETE, class_id, caller.user_id)
            if locked is None:
                raise ClassNotFoundError
            cleared = await _withdraw_pending(connection, class_id, caller.trace)
            await connection.execute(sql.DELETE_CLASS, class_id)
            messages = roster_events.class_deleted(caller, class_id)
            await outbox.put(connection, [*messages, *cleared])

        await self._database.transact(work)

    async def roster(self, class_id: UUID, owner_id: str | None) -> list[StudentRecord]:
        """Return a class's students by name."""
        async with self._database.acquire() as connection:
            detail = await _class_with_students(connection, class_id, owner_id)
        return list(detail.students)

    async def create_students(
        self, requests: Sequence[CreateStudent]
    ) -> list[StudentRecord | ServiceError]:
        """Make students and enrol them."""

        async def work(connection: Connection) -> list[StudentRecord | ServiceError]:
            return await students.create(connection, requests)

        return await self._database.run(work)

    async def get_student(self, owner_id: str, student_id: UUID) -> StudentRecord:
        """Return a student."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.GET_STUDENT, student_id, owner_id)
        if row is None:
            raise StudentNotFoundError
        return rows.student_record(row)

    async def update_student(
        self, caller: Caller, student_id: UUID, change: StudentChange
    ) -> StudentRecord:
        """Change a student and what it is enrolled in."""

        async def work(connection: Connection) -> StudentRecord:
            named = (*change.add_class_ids, *change.remove_class_ids)
            classes = await _owned_classes(connection, caller, named)
            current = await _locked_student(connection, caller, student_id)
            if classes is None:
                raise ClassNotFoundError
            diff = changed_student(current, change)
            if diff is None:
                return current
            record = await _apply(connection, diff)
            joined = [classes[class_id] for class_id in diff.joins]
            messages = roster_events.student_updated(caller, record, joined, diff.leaves)
            await outbox.put(connection, messages)
            return record

        return await self._database.transact(work)

    async def delete_student(self, caller: Caller, student_id: UUID) -> None:
        """Delete a student; its pending associations become unmatched."""

        async def work(connection: Connection) -> None:
            await connection.execute(sql.LOCK_BATCHES_SUGGESTING, student_id, caller.user_id)
            await _locked_student(connection, caller, student_id)
            await connection.execute(sql.WITHDRAW_SUGGESTIONS, student_id)
            await connection.execute(sql.DELETE_STUDENT, student_id)
            await outbox.put(connection, roster_events.student_deleted(caller, student_id))

        await self._database.transact(work)


def _own_class(request: CreateClass, record: ClassRecord | None) -> ClassRecord | ServiceError:
    if record is None or record.owner_id != request.caller.user_id:
        return ClassNotFoundError()
    return record


async def _class_with_students(
    connection: Connection, class_id: UUID, owner_id: str | None
) -> ClassDetail:
    found = await connection.fetch(sql.CLASS_WITH_STUDENTS, class_id, owner_id)
    if not found:
        raise ClassNotFoundError
    members = tuple(rows.student_record(row) for row in found if row["id"] is not None)
    return ClassDetail(rows.joined_class(found[0], len(members)), members)


async def _withdraw_pending(
    connection: Connection, class_id: UUID, trace: Trace
) -> list[OutboxMessage]:
    batches = [row["id"] for row in await connection.fetch(sql.LOCK_BATCHES_OF_CLASS, class_id)]
    deleted = await connection.fetch(sql.DELETE_PENDING, batches)
    at = now()
    return [
        timer_messages.cleared(batch_id, trace, at)
        for batch_id in sorted({row["batch_id"] for row in deleted})
    ]


async def _owned_classes(
    connection: Connection, caller: Caller, class_ids: Sequence[UUID]
) -> dict[UUID, ClassSummary] | None:
    """Return the classes and keep them from being deleted; None if one is not the caller's."""
    if not class_ids:
        return {}
    found = await connection.fetch(sql.SHARE_CLASSES, class_ids)
    owned = {row["id"]: rows.class_summary(row) for row in found}
    owned = {i: cls for i, cls in owned.items() if cls.owner_id == caller.user_id}
    return owned if owned.keys() >= set(class_ids) else None


async def _locked_student(
    connection: Connection, caller: Caller, student_id: UUID
) -> StudentRecord:
    """Lock first and read then: what was read while waiting for the lock may be stale."""
    await connection.execute(sql.LOCK_STUDENT, student_id, caller.user_id)
    row = await connection.fetchrow(sql.GET_STUDENT, student_id, caller.user_id)
    if row is None:
        raise StudentNotFoundError
    return rows.student_record(row)


async def _apply(connection: Connection, diff: StudentDiff) -> StudentRecord:
    record = diff.record
    try:
        stamp = await connection.fetchrow(
            sql.UPDATE_STUDENT,
            record.id,
            record.name.first_name,
            record.name.last_name,
            record.name.legal_full_name,
            record.email,
            diff.leaves,
            record.owner_id,
            diff.joins,
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == students.EMAIL_CONSTRAINT:
            raise EmailConflictError from None
        raise
    return replace(record, **dict(stamp or {}))
