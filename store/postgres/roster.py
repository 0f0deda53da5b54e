"""Creating, changing and deleting classes and students on a connection.

For requests and for commands; students are created by store.postgres.students.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from rules.changes import (
    Created,
    NewClassRequest,
    StudentDiff,
    changed_class,
    changed_student,
    distinct_runs,
    existing_class,
    refuse_placeholder,
)
from rules.conditions import Condition
from rules.emails import key_of
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ExternalIdConflictError,
    IdempotencyConflictError,
    ServiceError,
    StudentNotFoundError,
)
from rules.events import roster
from rules.ids import new_id
from rules.limits import check_places
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    ClassSummary,
    DeletedClass,
    Policy,
    StudentChange,
    StudentRecord,
)
from rules.open_batches import deleted_class
from rules.tags import student_tag
from store.clock import utc_now
from store.postgres import (
    changes,
    external_ids,
    open_batches,
    outbox,
    rows,
    sql,
    students,
    tags,
)
from store.postgres.database import Connection
from store.postgres.places import exact_sizes

#: Who had an id or an address may be gone when it is looked for: then it is free.
_ATTEMPTS: Final = 3


async def create_classes(
    connection: Connection, requests: Sequence[NewClassRequest]
) -> list[Created[ClassRecord] | ServiceError]:
    """Create classes; a refusal takes its request's place and does not affect the others."""
    made: list[Created[ClassRecord] | ServiceError] = []
    for run in distinct_runs(requests, lambda request: (request.new.id,)):
        made += await _create_classes(connection, run)
    return made


async def _create_classes(
    connection: Connection, requests: Sequence[NewClassRequest]
) -> list[Created[ClassRecord] | ServiceError]:
    """Create classes of distinct ids in one statement, those that are not refused."""
    answers: dict[UUID, Created[ClassRecord] | ServiceError] = {}
    for _ in range(_ATTEMPTS):
        rest = [r for r in requests if r.new.id not in answers]
        answers |= await _insert_classes(connection, rest)
        rest = [r for r in rest if r.new.id not in answers]
        if not rest:
            break
        answers |= await _answer_existing_classes(connection, rest)
    return [answers.get(r.new.id) or _refusal(r) for r in requests]


def _refusal(request: NewClassRequest) -> ServiceError:
    """Return the refusal of what was refused again and again because of classes that are gone."""
    taken = request.new.external_id is not None
    return ExternalIdConflictError() if taken else IdempotencyConflictError()


async def _insert_classes(
    connection: Connection, requests: Sequence[NewClassRequest]
) -> dict[UUID, Created[ClassRecord]]:
    values = [(r.new.id, r.caller.user_id, r.new.name, r.new.course_code) for r in requests]
    at = utc_now()
    messages = [
        (r.new.id, message)
        for r in requests
        for message in roster.class_created(r.caller, r.new, at)
    ]
    inserted = await connection.fetch(
        sql.classes.INSERT_CLASSES,
        *outbox.transposed(values, 4),
        *outbox.columns_beside(connection, messages),
        changes.correlations(connection, (r.caller.trace for r in requests)),
        [r.new.external_id for r in requests],
    )
    made = {row["id"]: Created(rows.class_record(row), is_new=True) for row in inserted}
    outbox.put_beside(connection, messages, made)
    return made


async def _answer_existing_classes(
    connection: Connection, requests: Sequence[NewClassRequest]
) -> dict[UUID, Created[ClassRecord] | ServiceError]:
    """Answer the requests whose id or external id is taken; who has left meanwhile is no answer."""
    found = await connection.fetch(sql.classes.CLASSES_BY_ID, [r.new.id for r in requests])
    by_id = {row["id"]: rows.class_record(row) for row in found}
    called = [
        (r.new.id, r.caller.user_id, r.new.external_id)
        for r in requests
        if r.new.external_id is not None
    ]
    holders = await external_ids.class_holders(connection, called)
    answers = {
        r.new.id: existing_class(by_id.get(r.new.id), holders.get(r.new.id), r) for r in requests
    }
    return {of_id: answer for of_id, answer in answers.items() if answer is not None}


async def update_class(
    connection: Connection,
    caller: Caller,
    class_id: UUID,
    change: ClassChange,
    condition: Condition | None = None,
) -> ClassRecord:
    """Change a class, as ClassRepositoryProtocol says."""
    current = await _locked_class(connection, caller, class_id, condition)
    changed = changed_class(current, change)
    if changed is None:
        return current
    if changed.external_id not in (None, current.external_id):
        await external_ids.claim_for_class(connection, current, changed.external_id)
    stamp = await connection.fetchrow(
        sql.classes.UPDATE_CLASS,
        class_id,
        changed.name,
        changed.course_code,
        changes.correlations(connection, [caller.trace]),
        changed.external_id,
    )
    record = replace(changed, **dict(stamp or {}))
    await outbox.put(connection, roster.class_updated(caller, record, utc_now()))
    return record


async def _locked_class(
    connection: Connection, caller: Caller, class_id: UUID, condition: Condition | None
) -> ClassRecord:
    lock = sql.classes.LOCK_CLASS_AND_ROSTER if condition else sql.classes.LOCK_CLASS
    row = await connection.fetchrow(lock, class_id, caller.user_id)
    if row is None:
        raise ClassNotFoundError
    if condition:
        await tags.check_class(connection, caller.user_id, class_id, condition)
    return rows.class_record(row)


async def delete_class(
    connection: Connection,
    caller: Caller,
    class_id: UUID,
    policy: Policy,
    condition: Condition | None = None,
) -> None:
    """Delete a class, as ClassRepositoryProtocol says."""
    locked = await connection.fetchrow(sql.classes.LOCK_CLASS_TO_DELETE, class_id, caller.user_id)
    if locked is None:
        raise ClassNotFoundError
    if condition:
        await tags.check_class(connection, caller.user_id, class_id, condition)
    deleted = deleted_class(caller, class_id, locked["course_code"])
    await _detach_batches(connection, deleted, policy)
    correlations = changes.correlations(connection, [caller.trace])
    await connection.execute(sql.classes.DELETE_CLASS, class_id, correlations)
    at = utc_now()  # after the waits for locks
    messages = roster.class_deleted(caller, class_id, locked["external_id"], at)
    await outbox.put(connection, messages)


async def keep_classes(connection: Connection, wanted: Collection[tuple[str, UUID]]) -> None:
    """Prevent the deletion of classes, by owner and id. Raises ClassNotFoundError."""
    found = await connection.fetch(sql.classes.SHARE_CLASSES, [class_id for _, class_id in wanted])
    if not {(row["owner_id"], row["id"]) for row in found}.issuperset(wanted):
        raise ClassNotFoundError


async def update_student(
    connection: Connection,
    caller: Caller,
    student_id: UUID,
    change: StudentChange,
    condition: Condition | None = None,
) -> StudentRecord:
    """Change a student, as ClassRepositoryProtocol says."""
    named = (*change.add_class_ids, *change.remove_class_ids)
    classes = await _owned_classes(connection, caller, named)
    await _lock_suggesting(connection, caller, student_id, change.remove_class_ids)
    current = await _locked_student(connection, caller, student_id, condition)
    if classes is None:
        raise ClassNotFoundError
    diff = changed_student(current, change)
    if diff is None:
        return current
    await _check_places(connection, diff.joins)
    record = await _apply(connection, caller, current, diff)
    if diff.leaves:
        await withdraw(connection, caller, student_id, diff.leaves)
    joined = [classes[class_id] for class_id in diff.joins]
    messages = roster.student_updated(caller, record, joined, diff.leaves, utc_now())
    await outbox.put(connection, messages)
    return record


async def delete_student(
    connection: Connection, caller: Caller, student_id: UUID, condition: Condition | None = None
) -> None:
    """Delete a student, as ClassRepositoryProtocol says."""
    await _lock_suggesting(connection, caller, student_id, None)
    current = await _locked_student(connection, caller, student_id, condition)
    refuse_placeholder(current)
    await withdraw(connection, caller, student_id, None)
    correlations = changes.correlations(connection, [caller.trace])
    await connection.execute(sql.students.DELETE_STUDENT, student_id, correlations)
    messages = roster.student_deleted(caller, student_id, current.external_id, utc_now())
    await outbox.put(connection, messages)


async def _detach_batches(connection: Connection, deleted: DeletedClass, policy: Policy) -> None:
    """Leave the batches of a class to OpenBatchesProtocol, with what closing them needs.

    Where the id was used before, the batches of that class close first, in their owner's name.
    """
    values = (
        deleted.id,
        deleted.owner_id,
        deleted.course_code,
        deleted.deleted_by,
        deleted.trace.correlation_id,
        deleted.trace.traceparent,
    )
    if not await connection.fetchval(sql.classes.REMEMBER_DELETED_CLASS, *values):
        for row in await connection.fetch(
            sql.open_batches.LOCK_BATCHES_OF_DELETED_CLASS, deleted.id
        ):
            await open_batches.settle(connection, row["id"], policy)
        await connection.execute(sql.classes.REPLACE_DELETED_CLASS, *values)
    await connection.fetch(sql.open_batches.LOCK_BATCHES_OF_CLASS, deleted.id)
    await connection.execute(sql.classes.DETACH_BATCHES, deleted.id)


async def _lock_suggesting(
    connection: Connection, caller: Caller, student_id: UUID, class_ids: Sequence[UUID] | None
) -> None:
    """Lock the batches in which a student is suggested, of these classes; None is all."""
    if class_ids is None or class_ids:
        values = student_id, caller.user_id, class_ids
        await connection.execute(sql.open_batches.LOCK_BATCHES_SUGGESTING, *values)


async def withdraw(
    connection: Connection, caller: Caller, student_id: UUID, class_ids: Sequence[UUID] | None
) -> None:
    """Make a student nobody's choice in the batches of these classes; None is all."""
    correlations = changes.correlations(connection, [caller.trace])
    values = student_id, class_ids, caller.user_id, correlations, caller.user_id
    await connection.execute(sql.open_batches.WITHDRAW_SUGGESTIONS, *values)


async def _owned_classes(
    connection: Connection, caller: Caller, class_ids: Sequence[UUID]
) -> dict[UUID, ClassSummary] | None:
    """Return the classes and prevent their deletion; None if one is not the caller's."""
    if not class_ids:
        return {}
    found = await connection.fetch(sql.classes.SHARE_CLASSES, class_ids)
    owned = {row["id"]: rows.class_summary(row) for row in found}
    owned = {i: cls for i, cls in owned.items() if cls.owner_id == caller.user_id}
    return owned if owned.keys() >= set(class_ids) else None


async def _locked_student(
    connection: Connection, caller: Caller, student_id: UUID, condition: Condition | None
) -> StudentRecord:
    """Lock first, then read: what is read while waiting for the lock may be stale."""
    await connection.execute(sql.students.LOCK_STUDENT, student_id, caller.user_id)
    row = await connection.fetchrow(sql.students.GET_STUDENT, student_id, caller.user_id)
    if row is None:
        raise StudentNotFoundError
    record = rows.student_record(row)
    if condition:
        condition.check(student_tag(record))
    return record


async def _apply(
    connection: Connection, caller: Caller, current: StudentRecord, diff: StudentDiff
) -> StudentRecord:
    record = diff.record
    await claim(connection, current, record)
    key = None if record.email is None else key_of(record.email)
    return await store_student(connection, caller, diff, key)


def claims(current: StudentRecord, record: StudentRecord) -> bool:
    """Whether a student gets an address or an external id that another one may have."""
    return record.external_id not in (None, current.external_id) or (
        record.email not in (None, current.email)
    )


async def claim(connection: Connection, current: StudentRecord, record: StudentRecord) -> None:
    """Keep what a locked student gets, until the commit. Raises ServiceError."""
    if record.external_id not in (None, current.external_id):
        await external_ids.claim_one(connection, record, record.external_id)
    if record.email is not None and record.email != current.email:
        await _claim_email(connection, record, record.email)


async def store_student(
    connection: Connection, caller: Caller, diff: StudentDiff, email_key: str | None
) -> StudentRecord:
    """Store what a locked student becomes; `email_key`, of another email, is claimed."""
    record = diff.record
    stamp = await connection.fetchrow(
        sql.students.UPDATE_STUDENT,
        record.id,
        record.name.first_name,
        record.name.last_name,
        record.name.legal_full_name,
        record.email,
        diff.leaves,
        record.owner_id,
        diff.joins,
        changes.correlations(connection, [caller.trace]),
        email_key,
        record.external_id,
    )
    return replace(record, **dict(stamp or {}))


async def _check_places(connection: Connection, class_ids: Sequence[UUID]) -> None:
    """Check that classes are not full. Raises ValidationFailedError."""
    found = await connection.fetch(sql.classes.READ_CLASSES, class_ids) if class_ids else []
    sizes = {row["id"]: row["size"] for row in found}
    check_places(await exact_sizes(connection, class_ids, sizes), class_ids, "add_class_ids")


async def _claim_email(connection: Connection, record: StudentRecord, email: str) -> None:
    """Keep an address for a locked student, until the commit. Raises EmailConflictError."""
    claim = new_id()
    wanted = record.id, claim, record.owner_id, email, key_of(email)
    for _ in range(_ATTEMPTS):
        if await connection.fetchval(sql.students.CLAIM_EMAIL, *wanted):
            await connection.execute(sql.students.DROP_CLAIMS, [claim])
            return
        holders = await students.email_holders(connection, [(record.id, record.owner_id, email)])
        if holders:
            raise EmailConflictError(student_id=holders[record.id])
    raise EmailConflictError
