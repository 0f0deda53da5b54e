"""How suggestions are stored or parked in memory."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from rules import timeouts
from rules.dead_letters.messages import delivery_id
from rules.dead_letters.replays import endings_of
from rules.history import association_created
from rules.models import Association, Delivery, NewAssociation, ParseSuggestions
from rules.parking import first_pause, pause, read_again
from rules.suggestions import (
    Handled,
    Outcome,
    SuggestionFacts,
    SuggestionPlan,
    outcomes_of,
    plan,
)
from store.memory import dead_letters
from store.memory.closing import close_decided
from store.memory.state import MemoryStore, ParkedMessage


def store_new(store: MemoryStore, deliveries: Sequence[Delivery]) -> Handled:
    """Store messages in their order."""
    now = store.now()
    again = {delivery_id(d.record) for d in deliveries} & store.inbox.keys()
    fresh = [d for d in deliveries if delivery_id(d.record) not in again]
    held = {row.batch_id for row in store.parked.values()}
    waits = store.policy.suggestion_retry > timedelta(0)
    expired = set() if waits else {d.message.event_id for d in fresh}
    facts = _facts(store, fresh, now, handled=store.inbox.keys(), held=held, expired=expired)
    planned = plan(fresh, facts, store.policy)
    _carry_out(store, planned, now)
    for delivery in planned.parked:
        store.inbox[delivery.message.event_id] = now
        _park(store, delivery, now)
    outcomes = outcomes_of(deliveries, again, planned.outcomes)
    dead_letters.note(store, endings_of(deliveries, outcomes))
    return Handled(outcomes, planned.elsewhere)


def retry_parked(store: MemoryStore, parse: ParseSuggestions, limit: int) -> Handled:
    """Retry the parked messages of up to `limit` batches."""
    now = store.now()
    due = (row.batch_id for row in store.parked.values() if row.next_try <= now)
    batches = set(islice(dict.fromkeys(due), limit))
    rows = [row for row in store.parked.values() if row.batch_id in batches]
    deliveries, unreadable = read_again((row.record for row in rows), parse)
    expired = {row.event_id for row in rows if row.deadline <= now}
    facts = _facts(store, deliveries, now, handled=set(), held=set(), expired=expired)
    planned = plan(deliveries, facts, store.policy)
    still_parked = {delivery.message.event_id for delivery in planned.parked}
    for row in rows:
        if row.event_id in still_parked:
            store.parked[row.event_id] = _tried(row, now)
        else:
            del store.parked[row.event_id]
            store.inbox.pop(row.event_id, None)
    dead_letters.publish(store, unreadable)
    _carry_out(store, planned, now)
    dead_letters.note(store, endings_of(deliveries, planned.outcomes))
    outcomes = [Outcome.DEAD_LETTERED] * len(unreadable) + planned.outcomes
    return Handled(outcomes, planned.elsewhere)


def _facts(
    store: MemoryStore,
    deliveries: Sequence[Delivery],
    now: datetime,
    *,
    handled: AbstractSet[UUID],
    held: AbstractSet[UUID],
    expired: AbstractSet[UUID],
) -> SuggestionFacts:
    messages = [delivery.message for delivery in deliveries]
    named = {message.class_id for message in messages}
    essays = {result.essay_id for message in messages for result in message.results}
    return SuggestionFacts(
        now=now,
        handled=handled,
        held=held,
        expired=expired,
        classes={c: store.classes[c].summary for c in named if c in store.classes},
        members={class_id: _suggestible(store, class_id) for class_id in named},
        students=store.students.keys(),
        batches=store.batches,
        associated_essays={
            i: store.associations[i].batch_id for i in essays if i in store.associations
        },
        sizes={m.batch_id: store.size_of(m.batch_id) for m in messages},
        deleted_classes=store.deleted_classes.keys(),
    )


def _suggestible(store: MemoryStore, class_id: UUID) -> frozenset[UUID]:
    """Return who can be suggested: UNKNOWN cannot, nor one that an older version made."""
    record = store.classes.get(class_id)
    email = timeouts.unknown_student_email(class_id)
    unknown = record and store.email_holder(record.owner_id, email)
    return store.pupils(class_id) - {unknown}


def _carry_out(store: MemoryStore, planned: SuggestionPlan, now: datetime) -> None:
    """Execute a plan, except for what it parks."""
    store.batches.update(planned.new_batches)
    store.begun.update(dict.fromkeys(planned.new_batches, now))
    causes = (part.cause for part in planned.parts for _ in range(part.essays))
    for new, cause in zip(planned.associations, causes, strict=True):
        association = _association(new, now)
        store.add_association(association)
        store.remember([association_created(cause, association.essay_id)])
    store.inbox.update({delivery.message.event_id: now for delivery in planned.stored})
    store.publish(planned.messages)
    dead_letters.publish(store, planned.dead_letters)
    for batch_id in planned.touched_batches:
        close_decided(store, batch_id, now)


def _association(new: NewAssociation, now: datetime) -> Association:
    return Association(
        essay_id=new.essay_id,
        batch_id=new.batch_id,
        suggested_student_id=new.suggested_student_id,
        student_id=new.student_id,
        confidence=new.confidence,
        match_reasons=new.match_reasons,
        status=new.status,
        method=new.method,
        validated_by=new.validated_by,
        validated_at=now if new.method else None,
        created_at=now,
        confirm_by=new.confirm_by,
        filename=new.filename,
        suggestions=new.suggestions,
    )


def _park(store: MemoryStore, delivery: Delivery, now: datetime) -> None:
    message = delivery.message
    store.parked[message.event_id] = ParkedMessage(
        event_id=message.event_id,
        batch_id=message.batch_id,
        record=delivery.record,
        deadline=now + store.policy.suggestion_retry,
        next_try=now + first_pause(store.policy),
        tries=0,
    )


def _tried(row: ParkedMessage, now: datetime) -> ParkedMessage:
    tries = row.tries + 1
    return replace(row, tries=tries, next_try=now + pause(tries))
