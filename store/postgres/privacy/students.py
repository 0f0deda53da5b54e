"""Erasing a student: its essays are UNKNOWN's, it is deleted, and then all that remembers it."""

from functools import partial
from uuid import UUID

from rules import decisions, history
from rules.changes import Created, NewStudentRequest
from rules.errors import PlaceholderError
from rules.events.associations import association_updated
from rules.ids import new_id
from rules.models import (
    Association,
    Caller,
    Decision,
    Method,
    NewStudent,
    Status,
    StudentRecord,
)
from rules.personal.subjects import Erasure, Known, Subject, in_file_names, names_of
from rules.timeouts import UNKNOWN_NAME, unknown_student_email
from store.clock import utc_now
from store.postgres import (
    changes,
    corrections,
    outbox,
    placeholders,
    roster,
    rows,
    sql,
    students,
)
from store.postgres.database import Connection
from store.postgres.privacy import imports, messages
from store.postgres.privacy.work import Work, begin, changed, erasure
from store.protocols.privacy import NothingStoredError


async def begun(connection: Connection, subject: Subject) -> Erasure:
    """Return the erasing of a student, begun now or before.

    Raises NothingStoredError and PlaceholderError.
    """
    found = await connection.fetchrow(sql.privacy.OPEN_ERASURE, subject.kind.value, subject.id)
    if found:
        return erasure(found)
    named = await connection.fetch(sql.privacy.NAMES_OF_STUDENT, subject.student_id)
    is_there = bool(named) and named[0]["age"] == 0
    names = names_of(dict(row) for row in named)
    if not (is_there or names):
        raise NothingStoredError
    if named[0]["is_placeholder"]:
        raise PlaceholderError
    owner_id = named[0]["owner_id"]
    essays: list[rows.Row] = []
    if not is_there:
        remembered = sql.privacy.ESSAYS_REMEMBERED
        essays = await connection.fetch(remembered, subject.id, owner_id)
    known = Known(owner_id, names, frozenset(row["essay_id"] for row in essays))
    return await begin(connection, subject, known)


async def erase(work: Work) -> None:
    """Erase a student and all that remembers it."""
    student_id = work.erasure.subject.student_id
    known = work.erasure.known or Known("")
    await remove(work, student_id, known.owner_id)
    known = await work.reload()
    await work.settled()
    await _scrub_essays(work, student_id, known)
    await messages.forget_student(work, known)
    await imports.forget_student(work, known)
    values = student_id, known.owner_id, known.names
    await work.update("changes", sql.privacy.SCRUB_CHANGES, *values)


async def remove(work: Work, student_id: UUID, owner_id: str) -> None:
    """Give a student's essays to UNKNOWN and delete the student, as its owner does.

    Batch by batch first, those that there are; what is decided meanwhile goes with the student.
    """
    caller = work.caller(owner_id)
    while await work.find(sql.students.GET_STUDENT, student_id, owner_id):
        batches = await work.find(sql.privacy.COUNT_DECIDED, student_id)
        for _ in range(batches[0] if batches else 0):
            await work.once("associations", partial(_give_batch, caller, student_id))
        await work.once("students", partial(_delete, work, caller, student_id))


async def _delete(work: Work, caller: Caller, student_id: UUID, connection: Connection) -> int:
    """Delete a student; return 1 for one that is deleted.

    Its classes are locked first: otherwise whoever goes on deciding for it would be faster.
    """
    await connection.execute(sql.privacy.LOCK_CLASSES_OF_STUDENT, student_id)
    await connection.execute(sql.privacy.LOCK_BATCHES_REFERRING, student_id)
    while await _give_batch(caller, student_id, connection):
        pass
    locked = await connection.fetchval(sql.students.LOCK_STUDENT, student_id, caller.user_id)
    decided = await connection.fetchval(sql.privacy.BATCH_DECIDED_FOR, student_id)
    if locked is None or decided is not None:
        return 0
    found = await connection.fetch(sql.privacy.ESSAYS_OF_STUDENT, student_id)
    essays = [row["essay_id"] for row in found]
    await connection.execute(sql.privacy.SCRUB_ESSAYS, essays, str(student_id))
    if work.erasure.known:
        await connection.execute(sql.privacy.KNOW_ESSAYS, work.erasure.id, essays)
    await roster.delete_student(connection, caller, student_id)
    return 1


async def _give_batch(caller: Caller, student_id: UUID, connection: Connection) -> int:
    """Give the essays of one batch that are decided for a student to UNKNOWN; return how many."""
    batch_id = await connection.fetchval(sql.privacy.BATCH_DECIDED_FOR, student_id)
    if batch_id is None:
        return 0
    kept = await connection.fetchrow(sql.decisions.KEEP_CLASS_OF_BATCH, batch_id, caller.user_id)
    give = _give_of_deleted_class
    if kept:
        await connection.execute(sql.decisions.LOCK_OWNED_BATCH, batch_id, caller.user_id)
        needed = {kept["id"]: (rows.class_summary(kept), caller.trace)}
        unknown = await placeholders.find(connection, needed)
        unknown = unknown or await placeholders.make(connection, needed, caller.user_id)
        give = partial(_give, unknown[kept["id"]])
    return await give(connection, caller, batch_id, student_id)


async def _give(
    unknown: UUID, connection: Connection, caller: Caller, batch_id: UUID, student_id: UUID
) -> int:
    found = await connection.fetch(sql.privacy.DECIDED_IN_BATCH, batch_id, student_id)
    for row in found:
        await corrections.correct(connection, caller, batch_id, row["essay_id"], unknown)
    return len(found)


async def _give_of_deleted_class(
    connection: Connection, caller: Caller, batch_id: UUID, student_id: UUID
) -> int:
    """Do the same in a batch that nobody can correct any more; without a class to nobody."""
    [batch] = await connection.fetch(sql.suggestions.LOCK_BATCHES, [batch_id])
    class_id = batch["deleted_class_id"]
    unknown = await _unknown_of(connection, caller, class_id) if class_id else None
    found = await connection.fetch(sql.decisions.ASSOCIATIONS, [batch_id])
    given = [a for a in map(rows.association, found) if a.student_id == student_id]
    for association in given:
        await _correct(connection, caller, association, unknown, class_id)
    if any(a.method is Method.TIMEOUT for a in given):
        await connection.execute(sql.decisions.NOTE_TIMEOUT, batch_id)
    return len(given)


async def _correct(
    connection: Connection,
    caller: Caller,
    before: Association,
    unknown: StudentRecord | None,
    class_id: UUID | None,
) -> None:
    status = Status.CONFIRMED if unknown else Status.REJECTED
    given = unknown.id if unknown else None
    decision = Decision(before.essay_id, status, Method.HUMAN, given, caller.user_id)
    values = before.essay_id, status.value, given, caller.user_id
    await connection.execute(sql.corrections.CORRECT, *values)
    at = utc_now()
    event = association_updated(caller, before.batch_id, before.essay_id, unknown, at)
    await outbox.put(connection, [event])
    cause = history.Cause(caller.user_id, class_id, caller.user_id, caller.trace.correlation_id)
    after = decisions.decided(before, decision, at)
    change = history.association_change(cause, before, after, history.DECISION_MEMBERS)
    await changes.put(connection, [change])


async def _unknown_of(
    connection: Connection, caller: Caller, class_id: UUID
) -> StudentRecord | None:
    """Return the UNKNOWN student of a deleted class, made if it had none; it is in no class."""
    email = unknown_student_email(class_id)
    owner_id = caller.user_id
    found = await connection.fetchval(sql.privacy.UNKNOWN_OF_DELETED_CLASS, owner_id, email)
    if found:
        return (await students.read(connection, [found])).get(found)
    new = NewStudent(new_id(), UNKNOWN_NAME, email, (), is_placeholder=True)
    request = NewStudentRequest(caller, new, owner_id)
    [made] = await students.create(connection, [request], limited=False)
    return made.record if isinstance(made, Created) else None


async def _scrub_essays(work: Work, student_id: UUID, known: Known) -> None:
    """Take the student out of the essays of others, and its name out of the names of files."""
    patterns = in_file_names(known.names)
    whole = [one for one in patterns if ".{" in one]
    await work.update("associations", sql.privacy.SCRUB_SUGGESTIONS, str(student_id), patterns)
    await work.update("associations", sql.privacy.SCRUB_FILENAMES, whole, known.owner_id)

    async def remembered(connection: Connection) -> tuple[int, None]:
        values = list(known.essays), str(student_id)
        return changed(await connection.execute(sql.privacy.SCRUB_ESSAYS, *values)), None

    if known.essays:
        await work.portion("associations", remembered)
