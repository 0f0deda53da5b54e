"""Storing match suggestions, parking what has to wait, burying what cannot be processed."""

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message, delivery_id
from rules.dead_letters.replays import Ended, endings, failed_again
from rules.errors import ValidationFailedError
from rules.events.envelopes import now
from rules.models import (
    SYSTEM_AUTO,
    Delivery,
    ParseSuggestions,
    Policy,
    Record,
)
from rules.suggestions import IntakeFacts, IntakePlan, Outcome, plan
from store.postgres import dead_letters, outbox, rows, sql
from store.postgres.closing import settle
from store.postgres.database import Connection

FIRST_RETRY_SECONDS: Final = 0.5
MAX_RETRY_SECONDS: Final = 5.0


async def store(
    connection: Connection, deliveries: Sequence[Delivery], policy: Policy
) -> list[Outcome]:
    """Store messages as they come from Kafka; return what became of each."""
    again = await _buried_before(connection, deliveries)
    fresh = [d for d in deliveries if delivery_id(d.record) not in again]
    handled = await _enter_inbox(connection, fresh)
    expired = {d.message.event_id for d in fresh} if not policy.suggestion_retry else set()
    batch_ids = [d.message.batch_id for d in fresh]
    clock = await connection.fetchval(sql.TRANSACTION_CLOCK)
    held = {row["batch_id"] for row in await connection.fetch(sql.HELD_BATCHES, batch_ids)}
    new = [d for d in fresh if d.message.event_id not in handled]
    facts = await _facts(connection, new, now=clock, handled=handled, held=held, expired=expired)
    intake = plan(fresh, facts, policy)
    await _carry_out(connection, intake, policy)
    await _park(connection, intake.parked, policy)
    planned = iter(intake.outcomes)
    outcomes = [
        Outcome.DUPLICATE if delivery_id(d.record) in again else next(planned) for d in deliveries
    ]
    await dead_letters.note(connection, _endings(deliveries, outcomes))
    return outcomes


async def retry(
    connection: Connection, parse: ParseSuggestions, limit: int, policy: Policy
) -> list[Outcome]:
    """Try parked messages again."""
    parked = await connection.fetch(sql.LOCK_PARKED, limit)
    if not parked:
        return []
    deliveries, unreadable = _parse_again(parked, parse)
    expired = {row["event_id"] for row in parked if row["expired"]}
    clock = await connection.fetchval(sql.TRANSACTION_CLOCK)
    facts = await _facts(
        connection, deliveries, now=clock, handled=set(), held=set(), expired=expired
    )
    intake = plan(deliveries, facts, policy)
    await bury(connection, unreadable)
    await _carry_out(connection, intake, policy)
    await _unpark(connection, [row["event_id"] for row in parked], deliveries, intake)
    await dead_letters.note(connection, _endings(deliveries, intake.outcomes))
    return [Outcome.DEAD_LETTERED] * len(unreadable) + intake.outcomes


async def _unpark(
    connection: Connection,
    parked: Sequence[UUID],
    read: Sequence[Delivery],
    intake: IntakePlan,
) -> None:
    """Postpone what still waits and forget the rest.

    An unreadable message leaves the inbox like every dead letter, so that a replay is handled.
    """
    waiting = {delivery.message.event_id for delivery in intake.parked}
    readable = {delivery.message.event_id for delivery in read}
    await connection.execute(sql.UNPARK, [i for i in parked if i not in waiting])
    await connection.execute(sql.POSTPONE_PARKED, list(waiting), MAX_RETRY_SECONDS)
    await connection.execute(sql.LEAVE_INBOX, [i for i in parked if i not in readable])


def _parse_again(
    parked: Sequence[rows.Row], parse: ParseSuggestions
) -> tuple[list[Delivery], list[DeadLetter]]:
    """Read parked messages; this version may be stricter than the one that parked them."""
    deliveries: list[Delivery] = []
    unreadable: list[DeadLetter] = []
    for row in parked:
        record = _record(row)
        try:
            deliveries.append(Delivery(record, parse(record)))
        except ValidationFailedError as error:
            unreadable.append(DeadLetter(record, Reason.INVALID, error.detail))
    return deliveries, unreadable


async def bury(connection: Connection, letters: Sequence[DeadLetter]) -> int:
    """Publish records to their dead-letter topics, each delivery once; return how many."""
    by_id = {delivery_id(letter.record): letter for letter in letters}
    new = {row["id"] for row in await connection.fetch(sql.ENTER_INBOX, list(by_id))}
    at = now()
    messages = [dead_letter_message(letter, at) for i, letter in by_id.items() if i in new]
    await outbox.put(connection, messages)
    await dead_letters.note(connection, failed_again(by_id[i] for i in new))
    return len(messages)


def _endings(deliveries: Sequence[Delivery], outcomes: Sequence[Outcome]) -> list[Ended]:
    handled = zip(deliveries, outcomes, strict=True)
    return endings((delivery.record, outcome.value) for delivery, outcome in handled)


async def _buried_before(connection: Connection, deliveries: Sequence[Delivery]) -> set[UUID]:
    """Return which of these deliveries are among the dead letters already."""
    ids = [delivery_id(delivery.record) for delivery in deliveries]
    return {row["id"] for row in await connection.fetch(sql.HANDLED_BEFORE, ids)}


async def _enter_inbox(connection: Connection, deliveries: Sequence[Delivery]) -> set[UUID]:
    """Claim the event ids; return those that were handled before."""
    claimed = {delivery.message.event_id for delivery in deliveries}
    entered = {row["id"] for row in await connection.fetch(sql.ENTER_INBOX, list(claimed))}
    return claimed - entered


async def _facts(
    connection: Connection,
    deliveries: Sequence[Delivery],
    *,
    now: datetime,
    handled: AbstractSet[UUID],
    held: AbstractSet[UUID],
    expired: AbstractSet[UUID],
) -> IntakeFacts:
    messages = [delivery.message for delivery in deliveries]
    class_ids = list({message.class_id for message in messages})
    essays = [result.essay_id for m in messages for result in m.results]
    suggested = {s.student_id for m in messages for r in m.results for s in r.suggestions}
    classes = await connection.fetch(sql.SHARE_CLASSES, class_ids)
    batches = await connection.fetch(sql.LOCK_BATCHES, [m.batch_id for m in messages])
    known = await connection.fetch(sql.STUDENTS_IN_CLASSES, list(suggested), class_ids)
    associated = await connection.fetch(sql.ASSOCIATED_ESSAYS, essays)
    members: dict[UUID, set[UUID]] = defaultdict(set)
    for row in known:
        members[row["class_id"]].add(row["id"])
    return IntakeFacts(
        now=now,
        handled=handled,
        held=held,
        expired=expired,
        classes={row["id"]: rows.class_summary(row) for row in classes},
        members=members,
        students={row["id"] for row in known},
        batches={row["id"]: rows.batch(row) for row in batches},
        associated_essays={row["essay_id"] for row in associated},
    )


async def _carry_out(connection: Connection, intake: IntakePlan, policy: Policy) -> None:
    await _insert_batches(connection, intake)
    await _insert_associations(connection, intake)
    timers = await settle(connection, intake.touched_batches, policy)
    await outbox.put(connection, [*intake.messages, *timers])
    if intake.dead_letters:
        await bury(connection, intake.dead_letters)
        await connection.execute(sql.LEAVE_INBOX, intake.buried_events)


async def _insert_batches(connection: Connection, intake: IntakePlan) -> None:
    new = [
        (b.id, b.class_id, b.trace.correlation_id, b.trace.traceparent)
        for b in sorted(intake.new_batches.values(), key=lambda batch: batch.id)
    ]
    if new:
        await connection.execute(sql.INSERT_BATCHES, *outbox.transposed(new, 4))


async def _insert_associations(connection: Connection, intake: IntakePlan) -> None:
    new = [
        (
            a.essay_id,
            a.batch_id,
            a.suggested_student_id,
            a.confidence,
            orjson.dumps(a.match_reasons).decode(),
            a.confirm_by,
            a.auto_confirmed,
        )
        for a in intake.associations
    ]
    if new:
        await connection.execute(sql.INSERT_ASSOCIATIONS, *outbox.transposed(new, 7), SYSTEM_AUTO)


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
            outbox.pack_headers(d.record.headers),
        )
        for d in parked
    ]
    if new:
        wait = policy.suggestion_retry.total_seconds()
        first = min(FIRST_RETRY_SECONDS, wait)
        await connection.execute(sql.PARK, *outbox.transposed(new, 9), first, wait)


def _record(row: rows.Row) -> Record:
    return Record(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        timestamp_ms=row["timestamp_ms"],
        key=row["key"],
        value=row["value"],
        headers=outbox.unpack_headers(row["headers"]),
    )
