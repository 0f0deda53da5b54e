"""Corrections of decisions, and the history of an essay."""

from uuid import UUID

from rules import corrections, history
from rules.conditions import Condition
from rules.errors import BatchNotFoundError, EssayNotFoundError
from rules.events.associations import association_updated
from rules.models import AssociationView, Caller, Method, PastDecision
from rules.tags import association_tag
from store.clock import utc_now
from store.postgres import changes, outbox, rows, sql
from store.postgres.database import Connection

_ABSENT = "This batch has no such essay."


async def association(
    connection: Connection, owner_id: str, batch_id: UUID, essay_id: UUID
) -> AssociationView:
    """Return one association, as AssociationRepositoryProtocol says."""
    found = await connection.fetch(sql.batches.GET_ASSOCIATION, batch_id, owner_id, essay_id)
    if not found:
        raise BatchNotFoundError
    shown = await rows.shown(found)
    if not shown:
        raise EssayNotFoundError(_ABSENT)
    return shown[0]


async def past(
    connection: Connection, owner_id: str, batch_id: UUID, essay_id: UUID
) -> list[PastDecision]:
    """Return every decision on an essay, as AssociationRepositoryProtocol says."""
    await association(connection, owner_id, batch_id, essay_id)
    found = await connection.fetch(sql.corrections.ESSAY_HISTORY, essay_id)
    return [rows.past_decision(row) for row in found]


async def correct(
    connection: Connection,
    caller: Caller,
    batch_id: UUID,
    essay_id: UUID,
    student_id: UUID | None,
    condition: Condition | None = None,
) -> AssociationView:
    """Correct the decision on an essay, as AssociationRepositoryProtocol says."""
    user_id = caller.user_id
    class_id = await connection.fetchval(sql.decisions.LOCK_OWNED_BATCH, batch_id, user_id)
    if class_id is None:
        raise BatchNotFoundError
    await connection.execute(sql.corrections.SHARE_DECIDED, essay_id, student_id, user_id)
    shown = await association(connection, user_id, batch_id, essay_id)
    if condition:
        condition.check(association_tag(shown))
    found = await connection.fetchrow(sql.students.GET_STUDENT, student_id, user_id)
    student = rows.student_record(found) if found else None
    current = shown.association
    is_member = student is not None and class_id in student.class_ids
    decision = corrections.correct(current, student_id, user_id, is_member=is_member)
    if decision is None:
        return shown
    await connection.execute(
        sql.corrections.CORRECT, essay_id, decision.status.value, student_id, user_id
    )
    if current.method is Method.TIMEOUT:
        await connection.execute(sql.decisions.NOTE_TIMEOUT, batch_id)
    shown = await association(connection, user_id, batch_id, essay_id)
    updated = association_updated(caller, batch_id, essay_id, student, utc_now())
    await outbox.put(connection, [updated])
    cause = history.Cause(user_id, class_id, user_id, caller.trace.correlation_id)
    change = history.association_change(cause, current, shown.association, history.DECISION_MEMBERS)
    await changes.put(connection, [change])
    return shown
