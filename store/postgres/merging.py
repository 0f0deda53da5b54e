"""Merging two students."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from rules import merging
from rules.errors import StudentNotFoundError
from rules.events import roster as events
from rules.models import Caller, ClassSummary, StudentRecord
from store.clock import utc_now
from store.pace import Pace
from store.postgres import changes, outbox, roster, rows, sql
from store.postgres.database import Connection

#: Essays whose messages are in memory at once: a student may have thousands.
ESSAYS_AT_ONCE: Final = 500


async def merge_students(
    connection: Connection, caller: Caller, student_id: UUID, into: UUID
) -> StudentRecord:
    """Make one of two students, as ClassRepositoryProtocol says."""
    merging.require_two(student_id, into)
    classes, keys = await _lock(connection, caller, student_id, into)
    gone = await _student(connection, caller, student_id)
    kept = await _student(connection, caller, into)
    plan = merging.merge(gone, kept)
    if not {*gone.class_ids, *kept.class_ids} <= classes.keys():
        # Classes are locked before students, so all is done again.
        raise asyncpg.SerializationError("a student has joined a class")
    referring = await connection.fetch(sql.merging.LOCK_REFERRING, student_id, list(classes))
    essays = [row["essay_id"] for row in referring]
    await connection.execute(sql.merging.MOVE_ASSOCIATIONS, student_id, into, essays)
    await connection.execute(sql.merging.MOVE_HISTORY, student_id, into)
    await connection.execute(sql.imports.MOVE_MARKS, student_id, into)
    correlations = changes.correlations(connection, [caller.trace])
    await connection.execute(sql.students.DELETE_STUDENT, student_id, correlations)
    # Only now: the address of the first, and its key, were its own until here. Nobody else can
    # have taken them, so they need not be claimed.
    merged = await roster.store_student(connection, caller, plan.diff, keys.get(student_id))
    joined = [classes[class_id] for class_id in plan.diff.joins]
    at = utc_now()
    await outbox.put(connection, events.student_updated(caller, merged, joined, (), at))
    await _tell_moved(connection, caller, plan, merged, referring)
    await outbox.put(connection, events.student_deleted(caller, student_id, gone.external_id, at))
    return merged


async def _lock(
    connection: Connection, caller: Caller, student_id: UUID, into: UUID
) -> tuple[dict[UUID, ClassSummary], dict[UUID, str | None]]:
    """Lock the students' classes, the open batches that may name the first, and both students.

    Return the classes, and the keys of the students' addresses. Closed batches are left alone: who
    corrects one has its students locked.
    """
    both = [student_id, into]
    found = await connection.fetch(sql.students.CLASSES_OF_STUDENTS, both, caller.user_id)
    classes = await _share(connection, [row["class_id"] for row in found])
    await connection.execute(
        sql.merging.LOCK_OPEN_BATCHES, student_id, caller.user_id, list(classes)
    )
    locked = await connection.fetch(sql.merging.LOCK_MERGED, both, caller.user_id)
    return classes, {row["id"]: row["email_key"] for row in locked}


async def _share(connection: Connection, class_ids: Iterable[UUID]) -> dict[UUID, ClassSummary]:
    wanted = list(class_ids)
    found = await connection.fetch(sql.classes.SHARE_CLASSES, wanted) if wanted else []
    return {row["id"]: rows.class_summary(row) for row in found}


async def _student(connection: Connection, caller: Caller, student_id: UUID) -> StudentRecord:
    row = await connection.fetchrow(sql.students.GET_STUDENT, student_id, caller.user_id)
    if row is None:
        raise StudentNotFoundError
    return rows.student_record(row)


async def _tell_moved(
    connection: Connection,
    caller: Caller,
    plan: merging.Merge,
    merged: StudentRecord,
    referring: Sequence[rows.Row],
) -> None:
    at, pace = utc_now(), Pace()
    for start in range(0, len(referring), ESSAYS_AT_ONCE):
        told = []
        for row in referring[start : start + ESSAYS_AT_ONCE]:
            class_id = row["class_id"] or row["deleted_class_id"]
            before = rows.association(row)
            told.append(merging.tell_moved(caller, plan, merged, before, class_id, at))
            await pace.keep()
        await outbox.put(connection, [message for one in told for message in one.messages])
        await changes.put(connection, [change for one in told for change in one.changes])
