"""How suggestions are stored or parked on PostgreSQL."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

import asyncpg

from rules.dead_letters.messages import delivery_id
from rules.dead_letters.replays import endings_of
from rules.events.envelopes import to_json
from rules.models import Delivery, ParseSuggestions, Policy, Record, Suggestion
from rules.parking import first_pause, pause, read_again
from rules.suggestions import (
    Handled,
    Outcome,
    SuggestionFacts,
    SuggestionPlan,
    outcomes_of,
    plan,
)
from store.postgres import changes, dead_letters, inbox_entries, outbox, packs, rows, sql
from store.postgres.closing import Known, State, close_decided, close_known
from store.postgres.database import Connection


async def store_new(
    connection: Connection, deliveries: Sequence[Delivery], policy: Policy
) -> Handled:
    """Store messages as they come from Kafka."""
    again = await _dead_lettered_before(connection, deliveries)
    fresh = [d for d in deliveries if delivery_id(d.record) not in again]
    event_ids = {d.message.event_id for d in fresh}
    handled = await inbox_entries.enter_suggestions(connection, event_ids)
    expired = event_ids if not policy.suggestion_retry else set()
    batch_ids = [d.message.batch_id for d in fresh]
    clock = await connection.fetchval(sql.sessions.TRANSACTION_CLOCK)
    held = {row["batch_id"] for row in await connection.fetch(sql.parking.HELD_BATCHES, batch_ids)}
    new = [d for d in fresh if d.message.event_id not in handled]
    facts = await _facts(connection, new, now=clock, handled=handled, held=held, expired=expired)
    planned = plan(fresh, facts, policy)
    await _carry_out(connection, planned, policy, clock)
    await _park(connection, planned.parked, policy)
    outcomes = outcomes_of(deliveries, again, planned.outcomes)
    await dead_letters.note(connection, endings_of(deliveries, outcomes))
    return Handled(outcomes, planned.elsewhere)


async def retry_parked(
    connection: Connection, parse: ParseSuggestions, limit: int, policy: Policy
) -> Handled:
    """Retry parked messages."""
    parked = await connection.fetch(sql.parking.LOCK_PARKED, limit)
    if not parked:
        return Handled([])
    deliveries, unreadable = read_again(map(_record, parked), parse)
    expired = {row["event_id"] for row in parked if row["expired"]}
    clock = await connection.fetchval(sql.sessions.TRANSACTION_CLOCK)
    facts = await _facts(
        connection, deliveries, now=clock, handled=set(), held=set(), expired=expired
    )
    planned = plan(deliveries, facts, policy)
    await dead_letters.publish(connection, unreadable)
    await _carry_out(connection, planned, policy, clock)
    await _unpark(connection, parked, deliveries, planned)
    await dead_letters.note(connection, endings_of(deliveries, planned.outcomes))
    outcomes = [Outcome.DEAD_LETTERED] * len(unreadable) + planned.outcomes
    return Handled(outcomes, planned.elsewhere)


async def _unpark(
    connection: Connection,
    parked: Sequence[rows.Row],
    read: Sequence[Delivery],
    planned: SuggestionPlan,
) -> None:
    """Postpone messages that still wait, and forget the rest.

    An unreadable message leaves the inbox like every dead letter, so that a replay is handled.
    """
    waiting = {delivery.message.event_id for delivery in planned.parked}
    readable = {delivery.message.event_id for delivery in read}
    tries = {row["event_id"]: row["attempts"] + 1 for row in parked}
    still = {i: pause(count).total_seconds() for i, count in tries.items() if i in waiting}
    await connection.execute(sql.parking.UNPARK, [i for i in tries if i not in waiting])
    await connection.execute(sql.parking.POSTPONE_PARKED, list(still), list(still.values()))
    await inbox_entries.leave(connection, [i for i in tries if i not in readable])


async def _dead_lettered_before(
    connection: Connection, deliveries: Sequence[Delivery]
) -> set[UUID]:
    """Return which of these deliveries were dead-lettered before."""
    ids = [delivery_id(delivery.record) for delivery in deliveries]
    return {row["id"] for row in await connection.fetch(sql.inbox.HANDLED_BEFORE, ids)}


async def _facts(
    connection: Connection,
    deliveries: Sequence[Delivery],
    *,
    now: datetime,
    handled: AbstractSet[UUID],
    held: AbstractSet[UUID],
    expired: AbstractSet[UUID],
) -> SuggestionFacts:
    messages = [delivery.message for delivery in deliveries]
    class_ids = list({message.class_id for message in messages})
    essays = [result.essay_id for m in messages for result in m.results]
    suggested = {s.student_id for m in messages for r in m.results for s in r.suggestions}
    classes = await connection.fetch(sql.classes.SHARE_CLASSES, class_ids)
    batches = await connection.fetch(sql.suggestions.LOCK_BATCHES, [m.batch_id for m in messages])
    sizes = await _sizes(connection, batches)
    known = await connection.fetch(sql.suggestions.STUDENTS_IN_CLASSES, list(suggested), class_ids)
    associated = await connection.fetch(sql.suggestions.ASSOCIATED_ESSAYS, essays)
    deleted = await _deleted(connection, set(class_ids) - {row["id"] for row in classes})
    members: dict[UUID, set[UUID]] = defaultdict(set)
    for row in known:
        members[row["class_id"]].add(row["id"])
    return SuggestionFacts(
        now=now,
        handled=handled,
        held=held,
        expired=expired,
        classes={row["id"]: rows.class_summary(row) for row in classes},
        members=members,
        students={row["id"] for row in known},
        batches={row["id"]: rows.batch(row) for row in batches},
        associated_essays={row["essay_id"]: row["batch_id"] for row in associated},
        sizes=sizes,
        deleted_classes=deleted,
    )


async def _deleted(connection: Connection, missing: AbstractSet[UUID]) -> set[UUID]:
    """Return which of the missing classes were deleted."""
    if not missing:
        return set()
    return {row["id"] for row in await connection.fetch(sql.classes.DELETED_AMONG, list(missing))}


async def _sizes(connection: Connection, locked: Sequence[rows.Row]) -> dict[UUID, int]:
    """Count the essays of batches after they were locked; new ones have none."""
    if not locked:
        return {}
    counted = await connection.fetch(sql.suggestions.BATCH_SIZES, [row["id"] for row in locked])
    return {row["batch_id"]: row["essays"] for row in counted}


async def _carry_out(
    connection: Connection, planned: SuggestionPlan, policy: Policy, clock: datetime
) -> None:
    await _insert_batches(connection, planned)
    await _insert_associations(connection, planned)
    new = Known(planned.new_batches, _states_of_new(planned))
    older = [i for i in planned.touched_batches if i not in planned.new_batches]
    timers = await close_known(connection, new, policy, clock)
    timers += await close_decided(connection, older, policy)
    await outbox.put(connection, [*planned.messages, *timers])
    if planned.dead_letters:
        await dead_letters.publish(connection, planned.dead_letters)
        await inbox_entries.leave(connection, planned.dead_lettered_events)


def _states_of_new(planned: SuggestionPlan) -> dict[UUID, State]:
    """Return the states of the new batches, of which nobody else can have anything yet."""
    essays: Counter[UUID] = Counter()
    pending: Counter[UUID] = Counter()
    for part in planned.parts:
        essays[part.batch_id] += part.essays
        pending[part.batch_id] += part.pending
    due = planned.associations[0].confirm_by if planned.associations else None
    return {i: State(essays[i], pending[i], due) for i in planned.new_batches}


async def _insert_batches(connection: Connection, planned: SuggestionPlan) -> None:
    new = [
        (b.id, b.class_id, b.trace.correlation_id, b.trace.traceparent)
        for b in sorted(planned.new_batches.values(), key=lambda batch: batch.id)
    ]
    if new:
        await connection.execute(sql.suggestions.INSERT_BATCHES, *outbox.transposed(new, 4))


async def _insert_associations(connection: Connection, planned: SuggestionPlan) -> None:
    new = planned.associations
    if not new:
        return
    # In columns at once: asyncpg takes most of the time of this, by element.
    await connection.execute(
        sql.suggestions.INSERT_ASSOCIATIONS,
        [a.essay_id for a in new],
        [number for number, part in enumerate(planned.parts, 1) for _ in range(part.essays)],
        [a.suggested_student_id for a in new],
        [a.confidence for a in new],
        [_array_literal(a.match_reasons) for a in new],
        [a.filename for a in new],
        [_suggestions_json(a.suggestions) for a in new],
        [a.essay_id for a in new if a.method],
        new[0].confirm_by,
        *_causes(connection, planned),
    )
    await _require_members(connection, planned)


def _causes(connection: Connection, planned: SuggestionPlan) -> outbox.Columns:
    """Return batches, each with owner, class and correlation id if changes are remembered."""
    batch_ids = [part.batch_id for part in planned.parts]
    if not changes.kept(connection):
        return batch_ids, [], [], []
    causes = (part.cause for part in planned.parts)
    values = [(cause.owner_id, cause.class_id, cause.correlation_id) for cause in causes]
    return batch_ids, *outbox.transposed(values, 3)


async def _require_members(connection: Connection, planned: SuggestionPlan) -> None:
    """Have the transaction done again if a suggested student has left its class meanwhile."""
    class_ids = {d.message.batch_id: d.message.class_id for d in planned.stored}
    chosen = {
        (class_ids[a.batch_id], a.suggested_student_id)
        for a in planned.associations
        if a.suggested_student_id is not None
    }
    values = outbox.transposed(list(chosen), 2)
    if chosen and await connection.fetchval(sql.suggestions.LEFT_MEANWHILE, *values):
        raise asyncpg.SerializationError("a student has left the class")


def _array_literal(texts: Sequence[str]) -> str:
    """Return texts as a text[] is written: arrays of arrays must have one length in PostgreSQL."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _suggestions_json(suggestions: Sequence[Suggestion]) -> str:
    """Return suggestions as they are stored; orjson is four times as slow with dataclasses."""
    members = [
        {"student_id": s.student_id, "confidence": s.confidence, "match_reasons": s.match_reasons}
        for s in suggestions
    ]
    return to_json(members).decode()


async def _park(connection: Connection, parked: Sequence[Delivery], policy: Policy) -> None:
    new = [
        (
            d.message.event_id,
            d.message.batch_id,
            d.record.topic,
            d.record.partition,
            d.record.offset,
            d.record.timestamp_ms,
            d.record.key,
            d.record.value,
            packs.pack_headers(d.record.headers),
        )
        for d in parked
    ]
    if new:
        wait = policy.suggestion_retry.total_seconds()
        first = first_pause(policy).total_seconds()
        await connection.execute(sql.parking.PARK, *outbox.transposed(new, 9), first, wait)


def _record(row: rows.Row) -> Record:
    return Record(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        timestamp_ms=row["timestamp_ms"],
        key=row["key"],
        value=row["value"],
        headers=packs.unpack_headers(row["headers"]),
    )
