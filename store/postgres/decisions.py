"""Decisions on associations: a teacher's, and the clock's."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from rules import decisions, timeouts
from rules.conditions import Condition
from rules.errors import BatchNotFoundError
from rules.events import timers
from rules.models import (
    SYSTEM_TIMEOUT,
    Association,
    Batch,
    BatchTotals,
    Caller,
    ClassSummary,
    Decision,
    HumanDecision,
    Policy,
    Trace,
)
from store.clock import utc_now
from store.postgres import changes, outbox, placeholders, rows, sql, tags
from store.postgres.closing import Known, State, close_decided, close_known
from store.postgres.database import Connection
from store.protocols.timers import DecidedByClock


async def confirm(
    connection: Connection,
    caller: Caller,
    batch_id: UUID,
    wanted: Sequence[HumanDecision],
    policy: Policy,
    min_confidence: float | None = None,
    condition: Condition | None = None,
) -> BatchTotals:
    """Apply a teacher's decisions, as AssociationRepositoryProtocol says."""
    # Every transaction locks a class before its batches.
    kept = await connection.fetchrow(sql.decisions.KEEP_CLASS_OF_BATCH, batch_id, caller.user_id)
    if kept is None:
        raise BatchNotFoundError
    cls = rows.class_summary(kept)
    await connection.execute(sql.decisions.LOCK_OWNED_BATCH, batch_id, caller.user_id)
    if condition:
        await tags.check_batch(connection, caller.user_id, batch_id, condition)
    current = await _associations(connection, batch_id)
    facts = await _facts(connection, batch_id, cls, caller.trace, wanted, current)
    decided = decisions.decide(wanted, facts, caller.user_id, min_confidence)
    if decided:
        if any(map(decisions.for_unknown, decided)):
            decided = await _given_to_unknown(connection, cls, caller, decided)
        await _apply(connection, caller, cls.id, batch_id, decided)
        messages = await close_decided(connection, [batch_id], policy, caller.trace)
        await outbox.put(connection, messages)
        current = await _associations(connection, batch_id)
    return decisions.totals(current)


async def _associations(connection: Connection, batch_id: UUID) -> list[Association]:
    found = await connection.fetch(sql.decisions.ASSOCIATIONS, [batch_id])
    return [rows.association(row) for row in found]


async def _facts(
    connection: Connection,
    batch_id: UUID,
    cls: ClassSummary,
    trace: Trace,
    wanted: Sequence[HumanDecision],
    current: Sequence[Association],
) -> decisions.DecisionFacts:
    named = {decision.student_id for decision in wanted if decision.student_id}
    suggested = {a.suggested_student_id for a in current if a.suggested_student_id}
    found = await connection.fetch(sql.decisions.MEMBERS_AMONG, cls.id, list(named | suggested))
    associations = {association.essay_id: association for association in current}
    unknown = None
    if decisions.may_need_unknown(wanted, associations):
        unknown = (await placeholders.find(connection, {cls.id: (cls, trace)})).get(cls.id)
    members = {row["student_id"] for row in found}
    return decisions.DecisionFacts(batch_id, associations, members, unknown)


async def _given_to_unknown(
    connection: Connection, cls: ClassSummary, caller: Caller, decided: Sequence[Decision]
) -> list[Decision]:
    """Return the changes with the UNKNOWN student, who is made where there is none."""
    unknown = await placeholders.make(connection, {cls.id: (cls, caller.trace)}, caller.user_id)
    return decisions.with_unknown(decided, unknown[cls.id])


async def _apply(
    connection: Connection,
    caller: Caller,
    class_id: UUID,
    batch_id: UUID,
    decided: Sequence[Decision],
) -> None:
    values = [(d.essay_id, d.status.value, d.student_id) for d in decided]
    await connection.execute(
        sql.decisions.DECIDE_BY_HUMAN,
        *outbox.transposed(values, 3),
        caller.user_id,
        class_id,
        changes.correlations(connection, [caller.trace]),
        batch_id,
    )


async def decide_due(
    connection: Connection, batch_ids: Sequence[UUID], most: int, policy: Policy
) -> DecidedByClock:
    """Decide what is due in these batches, as TimerProtocol says."""
    asked = list(dict.fromkeys(batch_ids))
    counted = {row["id"]: row for row in await connection.fetch(sql.decisions.COUNT_DUE, asked)}
    counts = (counted[i]["due"] if i in counted else 0 for i in asked)
    count = timeouts.first_batches(counts, most)
    there = [i for i in asked[:count] if i in counted]
    # Every transaction locks a class before its batches.
    class_ids = {counted[i]["class_id"] for i in there} - {None}
    shared = await connection.fetch(sql.classes.SHARE_CLASSES, list(class_ids))
    locked = await connection.fetch(sql.decisions.LOCK_FREE_BATCHES, there)
    classes = {row["id"]: rows.class_summary(row) for row in shared}
    batches = {row["id"]: rows.batch(row) for row in locked}
    with_class = [(b.id, b.class_id) for b in batches.values() if b.class_id is not None]
    essays = await connection.fetch(
        sql.decisions.ESSAYS_TO_JUDGE, *outbox.transposed(with_class, 2)
    )
    due = [row for row in essays if row["due"]]
    decided = await _decide(connection, due, batches, classes, policy)
    at = decided[0]["validated_at"] if decided else utc_now()
    messages = [timers.cleared_unknown(i, at) for i in sorted(set(asked[:count]) - counted.keys())]
    known = Known(batches, _states_after(batches, essays), classes, decided)
    messages += await close_known(connection, known, policy, at)
    await outbox.put(connection, messages)
    lateness = tuple(row["lateness"] for row in decided)
    return DecidedByClock(len(lateness), lateness, tuple(asked[count:]))


def _states_after(batch_ids: Iterable[UUID], essays: Sequence[rows.Row]) -> Mapping[UUID, State]:
    """Return the states of batches in which all that is due has been decided."""
    total: Counter[UUID] = Counter()
    waiting: dict[UUID, list[datetime]] = defaultdict(list)
    for row in essays:
        total[row["batch_id"]] += 1
        if row["pending"] and not row["due"]:
            waiting[row["batch_id"]].append(row["confirm_by"])
    return {i: State(total[i], len(waiting[i]), min(waiting[i], default=None)) for i in batch_ids}


async def _decide(
    connection: Connection,
    due: Sequence[rows.Row],
    batches: Mapping[UUID, Batch],
    classes: Mapping[UUID, ClassSummary],
    policy: Policy,
) -> Sequence[rows.Row]:
    """Decide what is due in locked batches; return those associations in their new state.

    What is pending of a deleted class is rejected in the name of who deleted it.
    """
    if not due:
        return []
    needed = _classes_of(due, batches, classes)
    unknown = await placeholders.find(connection, needed)
    class_of = {i: batch.class_id for i, batch in batches.items() if batch.class_id}
    classes_due = [class_of[row["batch_id"]] for row in due]
    kept = [
        timeouts.kept(
            row["suggested_student_id"], row["confidence"], policy.high_confidence, unknown.get(i)
        )
        for row, i in zip(due, classes_due, strict=True)
    ]
    guests = {i for i, keeps in zip(classes_due, kept, strict=True) if keeps is None}
    unknown |= await placeholders.make(
        connection, {i: needed[i] for i in guests if i not in unknown}, SYSTEM_TIMEOUT
    )
    given = [
        timeouts.given(keeps, unknown.get(i)) for i, keeps in zip(classes_due, kept, strict=True)
    ]
    decided = await connection.fetch(
        sql.decisions.DECIDE_BY_CLOCK,
        list(batches),
        [row["essay_id"] for row in due],
        given,
        SYSTEM_TIMEOUT,
        *_causes(connection, batches.values(), classes),
    )
    if len(decided) < len(due):
        raise asyncpg.SerializationError("what was due has changed under its lock")
    return decided


def _causes(
    connection: Connection, batches: Iterable[Batch], classes: Mapping[UUID, ClassSummary]
) -> outbox.Columns:
    """Return batches with the owners of their classes, the classes and the correlation ids."""
    known = [(batch, classes[batch.class_id]) for batch in batches if batch.class_id is not None]
    correlations = changes.correlations(connection, (batch.trace for batch, _ in known))
    causes = [
        (batch.id, cls.owner_id, cls.id, correlation)
        for (batch, cls), correlation in zip(known, correlations, strict=False)
    ]
    return outbox.transposed(causes, 4)


def _classes_of(
    due: Sequence[rows.Row], batches: Mapping[UUID, Batch], classes: Mapping[UUID, ClassSummary]
) -> dict[UUID, tuple[ClassSummary, Trace]]:
    """Return the classes of due essays, each with the trace of one of its batches."""
    found = {row["batch_id"]: batches[row["batch_id"]] for row in due}.values()
    return {b.class_id: (classes[b.class_id], b.trace) for b in found if b.class_id is not None}
