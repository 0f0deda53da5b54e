"""Decisions on associations: a teacher's, and the clock's."""

from collections.abc import Sequence
from uuid import UUID

from rules import decisions, timeouts, timer_messages
from rules.envelopes import now
from rules.errors import BatchNotFoundError
from rules.ids import new_id
from rules.models import (
    SYSTEM_TIMEOUT,
    Association,
    Batch,
    BatchTotals,
    Caller,
    ClassSummary,
    Decision,
    HumanDecision,
    OutboxMessage,
    Policy,
    Trace,
)
from rules.timeouts import ClockVerdict
from store.postgres import outbox, rows, sql, students
from store.postgres.database import Connection
from store.postgres.settling import settle
from store.protocols import DecidedByClock


async def confirm(
    connection: Connection,
    caller: Caller,
    batch_id: UUID,
    wanted: Sequence[HumanDecision],
    policy: Policy,
) -> BatchTotals:
    """Apply a teacher's decisions to a batch."""
    class_id = await connection.fetchval(sql.LOCK_OWNED_BATCH, batch_id, caller.user_id)
    if class_id is None:
        raise BatchNotFoundError
    current = await _associations(connection, batch_id)
    changes = decisions.decide(
        wanted,
        {association.essay_id: association for association in current},
        await _members(connection, class_id, wanted, current),
        caller.user_id,
    )
    if changes:
        await _apply(connection, changes, caller.user_id)
        settled = await settle(connection, [batch_id], policy, caller.trace)
        await outbox.put(connection, settled)
        current = await _associations(connection, batch_id)
    return decisions.totals(current)


async def _associations(connection: Connection, batch_id: UUID) -> list[Association]:
    found = await connection.fetch(sql.ASSOCIATIONS, [batch_id])
    return [rows.association(row) for row in found]


async def _members(
    connection: Connection,
    class_id: UUID,
    wanted: Sequence[HumanDecision],
    current: Sequence[Association],
) -> set[UUID]:
    named = {decision.student_id for decision in wanted if decision.student_id}
    suggested = {a.suggested_student_id for a in current if a.suggested_student_id}
    found = await connection.fetch(sql.MEMBERS_AMONG, class_id, list(named | suggested))
    return {row["student_id"] for row in found}


async def _apply(connection: Connection, changes: Sequence[Decision], teacher_id: str) -> None:
    values = [(c.essay_id, c.status.value, c.student_id) for c in changes]
    await connection.execute(sql.DECIDE_BY_HUMAN, *outbox.transposed(values, 3), teacher_id)


async def decide_due(
    connection: Connection, batch_ids: Sequence[UUID], policy: Policy
) -> DecidedByClock:
    """Decide what is due in these batches by PostgreSQL's clock."""
    shared = await connection.fetch(sql.SHARE_CLASSES_OF_BATCHES, batch_ids)
    existing = await connection.fetch(sql.EXISTING_BATCHES, batch_ids)
    locked = await connection.fetch(sql.LOCK_FREE_BATCHES, batch_ids)
    classes = {row["id"]: rows.class_summary(row) for row in shared}
    batches = {row["id"]: rows.batch(row) for row in locked}
    lateness = await _decide(connection, batches, classes, policy)
    messages = _cleared(set(batch_ids) - {row["id"] for row in existing})
    messages += await settle(connection, list(batches), policy)
    await outbox.put(connection, messages)
    return DecidedByClock(len(lateness), tuple(lateness))


async def _decide(
    connection: Connection,
    batches: dict[UUID, Batch],
    classes: dict[UUID, ClassSummary],
    policy: Policy,
) -> list[float]:
    due = await connection.fetch(sql.DUE_ASSOCIATIONS, list(batches))
    if not due:
        return []
    at = await connection.fetchval(sql.TRANSACTION_CLOCK)
    associations = [rows.association(row) for row in due]
    verdicts = timeouts.due(associations, at, policy.high_confidence)
    batch_of = {a.essay_id: batches[a.batch_id] for a in associations}
    unknown = await students.unknown_students(
        connection, _needing_unknown(verdicts, batch_of, classes)
    )
    values = [_decided(verdict, batch_of, unknown) for verdict in verdicts]
    decided = await connection.fetch(
        sql.DECIDE_BY_CLOCK, *outbox.transposed(values, 2), SYSTEM_TIMEOUT
    )
    return [row["lateness"] for row in decided]


def _needing_unknown(
    verdicts: Sequence[ClockVerdict],
    batch_of: dict[UUID, Batch],
    classes: dict[UUID, ClassSummary],
) -> dict[UUID, tuple[ClassSummary, Trace]]:
    needing: dict[UUID, tuple[ClassSummary, Trace]] = {}
    for verdict in verdicts:
        batch = batch_of[verdict.essay_id]
        if verdict.keeps is None and batch.class_id is not None:
            needing.setdefault(batch.class_id, (classes[batch.class_id], batch.trace))
    return needing


def _decided(
    verdict: ClockVerdict, batch_of: dict[UUID, Batch], unknown: dict[UUID, UUID]
) -> tuple[UUID, UUID | None]:
    class_id = batch_of[verdict.essay_id].class_id
    decision = timeouts.decide(verdict, unknown.get(class_id) if class_id else None)
    return decision.essay_id, decision.student_id


def _cleared(batch_ids: set[UUID]) -> list[OutboxMessage]:
    at = now()
    return [timer_messages.cleared(i, Trace(new_id()), at) for i in sorted(batch_ids)]


async def rearm(connection: Connection, batch_ids: Sequence[UUID], policy: Policy) -> None:
    """Publish how the timers of these batches stand."""
    locked = await connection.fetch(sql.LOCK_BATCHES, batch_ids)
    there = [row["id"] for row in locked]
    messages = _cleared(set(batch_ids) - set(there))
    await outbox.put(connection, [*messages, *await settle(connection, there, policy)])
