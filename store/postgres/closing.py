"""How every change of a batch ends: its timer is set, and it closes when nothing is pending.

The caller has locked the batches.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from rules import closing
from rules.events import timers
from rules.models import Batch, ClassSummary, DeletedClass, OutboxMessage, Policy, Trace
from store.clock import utc_now
from store.pace import Pace
from store.postgres import rows, sql
from store.postgres.database import Connection

ByBatch: TypeAlias = dict[UUID, list[rows.Row]]


class State(NamedTuple):
    """How many associations a locked batch has, and when the clock decides next."""

    total: int
    pending: int
    confirm_by: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """What the caller has already read of the batches, under their locks."""

    batches: Mapping[UUID, Batch] = field(default_factory=dict)
    states: Mapping[UUID, State] = field(default_factory=dict)
    classes: Mapping[UUID, ClassSummary] = field(default_factory=dict)
    decided: Sequence[rows.Row] = ()
    """Current associations, with the names of their students."""


async def close_decided(
    connection: Connection,
    batch_ids: Sequence[UUID],
    policy: Policy,
    request: Trace | None = None,
) -> list[OutboxMessage]:
    """Close the batches with nothing pending; return the messages of all of them.

    The messages carry the trace of the request that caused them, else the batch's own.
    """
    if not batch_ids:
        return []
    found = await connection.fetch(sql.closing.BATCH_STATES, batch_ids)
    batches = {row["id"]: rows.batch(row).traced(request) for row in found}
    states = {row["id"]: State(row["total"], row["pending"], row["confirm_by"]) for row in found}
    at = found[0]["now"] if found else utc_now()
    return await close_known(connection, Known(batches, states), policy, at)


async def close_known(
    connection: Connection, known: Known, policy: Policy, at: datetime
) -> list[OutboxMessage]:
    """Do what `close_decided` does with batches of which all is known; `at` is when they close."""
    pace = Pace()
    messages: list[OutboxMessage] = []
    to_close: list[Batch] = []
    for batch_id in sorted(known.batches):
        batch, state = known.batches[batch_id], known.states[batch_id]
        messages.append(timers.timer(batch, state.pending, state.confirm_by, at))
        if closing.closes(batch, state.pending):
            to_close.append(batch)
        await pace.keep()
    if to_close:
        for closed in await _close(connection, to_close, known):
            messages += closing.close(closed, policy, at)
            await pace.keep()
    return messages


async def close_deleted(
    connection: Connection, batch: Batch, deleted: DeletedClass, policy: Policy
) -> list[OutboxMessage]:
    """Close a batch whose class is deleted; its messages carry the trace of the deletion."""
    traced = batch.traced(deleted.trace)
    messages = await close_silently(connection, traced)
    associations = await connection.fetch(sql.closing.CLOSING_ASSOCIATIONS, [batch.id])
    at = await connection.fetchval(sql.sessions.TRANSACTION_CLOCK)
    return messages + closing.close(_closing(traced, deleted, associations), policy, at)


async def close_silently(connection: Connection, batch: Batch) -> list[OutboxMessage]:
    """Close a batch without an event: only its timer hears of it."""
    await connection.execute(sql.closing.CLOSE_BATCHES, [batch.id])
    return [timers.cleared(batch.id, batch.trace, utc_now())]


async def _close(
    connection: Connection, batches: Sequence[Batch], known: Known
) -> Iterable[closing.ClosingBatch]:
    """Mark the batches as closed; return them in their new state, one at a time."""
    await connection.execute(sql.closing.CLOSE_BATCHES, [batch.id for batch in batches])
    classes = await _classes(connection, batches, known)
    associations = await _associations(connection, batches, known)
    return (
        _closing(batch, classes[batch.class_id], associations[batch.id])
        for batch in batches
        if batch.class_id is not None
    )


async def _classes(
    connection: Connection, batches: Sequence[Batch], known: Known
) -> Mapping[UUID, ClassSummary]:
    ids = {batch.class_id for batch in batches}
    if ids <= known.classes.keys():
        return known.classes
    found = await connection.fetch(sql.classes.NAME_CLASSES, list(ids))
    return {row["id"]: rows.class_summary(row) for row in found}


async def _associations(connection: Connection, batches: Sequence[Batch], known: Known) -> ByBatch:
    """Return the batches' associations in their order, read for batches not fully known."""
    found = _by_batch(known.decided)
    partly_known = [b.id for b in batches if len(found[b.id]) < known.states[b.id].total]
    if partly_known:
        found |= _by_batch(await connection.fetch(sql.closing.CLOSING_ASSOCIATIONS, partly_known))
    return found


def _by_batch(associations: Sequence[rows.Row]) -> ByBatch:
    found: ByBatch = defaultdict(list)
    for row in associations:
        found[row["batch_id"]].append(row)
    return found


def _closing(
    batch: Batch, cls: ClassSummary | DeletedClass, associations: Sequence[rows.Row]
) -> closing.ClosingBatch:
    students = {
        row["student_id"]: closing.NamedStudent(
            row["first_name"], row["last_name"], row["email"], row["is_placeholder"]
        )
        for row in associations
        if row["first_name"] is not None
    }
    return closing.ClosingBatch(batch, cls, [rows.closing(row) for row in associations], students)
