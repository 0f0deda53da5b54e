"""What every change of a batch ends with: its timer, and its closing when nothing is pending.

The caller has locked the batches.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from rules import closing, timer_messages
from rules.models import (
    Association,
    Batch,
    ClassSummary,
    OutboxMessage,
    PendingBatch,
    Policy,
    Trace,
)
from store.postgres import rows, sql
from store.postgres.database import Connection


async def settle(
    connection: Connection,
    batch_ids: Sequence[UUID],
    policy: Policy,
    request: Trace | None = None,
) -> list[OutboxMessage]:
    """Close the batches with nothing pending; return what is to be published of all of them.

    The messages carry the trace of the request that caused them, else the batch's own.
    """
    if not batch_ids:
        return []
    states = await connection.fetch(sql.BATCH_STATES, batch_ids)
    messages = [_timer_message(row, request) for row in states]
    to_close = [_batch(row, request) for row in states if _closes(row)]
    if to_close:
        messages += await _close(connection, to_close, policy, states[0]["now"])
    return messages


def _batch(state: rows.Row, request: Trace | None) -> Batch:
    batch = rows.batch(state)
    return replace(batch, trace=request) if request else batch


def _timer_message(state: rows.Row, request: Trace | None) -> OutboxMessage:
    batch = _batch(state, request)
    if not state["pending"] or batch.class_id is None:
        return timer_messages.cleared(batch.id, batch.trace, state["now"])
    pending = PendingBatch(batch.id, batch.class_id, state["pending"], state["confirm_by"])
    return timer_messages.armed(pending, batch.trace, state["now"])


def _closes(state: rows.Row) -> bool:
    return (
        state["total"] > 0
        and state["pending"] == 0
        and state["closed_at"] is None
        and state["class_id"] is not None
    )


async def _close(
    connection: Connection, batches: Sequence[Batch], policy: Policy, at: datetime
) -> list[OutboxMessage]:
    ids = [batch.id for batch in batches]
    await connection.execute(sql.CLOSE_BATCHES, ids)
    classes = await _classes(connection, batches)
    students = {
        row["id"]: closing.NamedStudent(row["first_name"], row["last_name"], row["email"])
        for row in await connection.fetch(sql.NAMES_OF_DECIDED, ids)
    }
    associations: dict[UUID, list[Association]] = defaultdict(list)
    for row in await connection.fetch(sql.ASSOCIATIONS, ids):
        associations[row["batch_id"]].append(rows.association(row))
    messages: list[OutboxMessage] = []
    for batch in batches:
        cls = classes[batch.class_id]
        closed = closing.ClosingBatch(batch, cls, associations[batch.id], students)
        messages += closing.close(closed, policy, at)
    return messages


async def _classes(
    connection: Connection, batches: Sequence[Batch]
) -> dict[UUID | None, ClassSummary]:
    ids = {batch.class_id for batch in batches}
    found = await connection.fetch(sql.READ_CLASSES, list(ids))
    return {row["id"]: rows.class_summary(row) for row in found}
