"""How suggestions come into the in-memory store, and wait there where they must."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message, delivery_id
from rules.dead_letters.replays import endings, failed_again
from rules.errors import ValidationFailedError
from rules.models import Delivery, ParseSuggestions
from rules.suggestions import IntakeFacts, IntakePlan, Outcome, plan
from store.memory import dead_letters
from store.memory.batches import associate, settle
from store.memory.state import MemoryStore, ParkedMessage, summary

_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 5.0)


def store_suggestions(store: MemoryStore, deliveries: Sequence[Delivery]) -> list[Outcome]:
    """Store messages in their order; return what became of each."""
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
    told = iter(planned.outcomes)
    outcomes = [
        Outcome.DUPLICATE if delivery_id(d.record) in again else next(told) for d in deliveries
    ]
    _note_replays(store, deliveries, outcomes)
    return outcomes


def retry_parked(store: MemoryStore, parse: ParseSuggestions, limit: int) -> list[Outcome]:
    """Try the parked messages of up to `limit` batches again; return what became of each."""
    now = store.now()
    due = (row.batch_id for row in store.parked.values() if row.next_try <= now)
    batches = set(islice(dict.fromkeys(due), limit))
    rows = [row for row in store.parked.values() if row.batch_id in batches]
    deliveries, unreadable = _read_again(rows, parse)
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
    dead_letter(store, unreadable)
    _carry_out(store, planned, now)
    _note_replays(store, deliveries, planned.outcomes)
    return [Outcome.DEAD_LETTERED] * len(unreadable) + planned.outcomes


def dead_letter(store: MemoryStore, letters: Iterable[DeadLetter]) -> int:
    """Publish the letters that are new; return how many were."""
    now = store.now()
    fresh = {delivery_id(letter.record): letter for letter in letters}
    fresh = {identity: letter for identity, letter in fresh.items() if identity not in store.inbox}
    store.inbox.update(dict.fromkeys(fresh, now))
    store.publish(dead_letter_message(letter, now) for letter in fresh.values())
    dead_letters.note(store, failed_again(fresh.values()))
    return len(fresh)


def _note_replays(
    store: MemoryStore, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome]
) -> None:
    handled = zip(deliveries, outcomes, strict=True)
    dead_letters.note(store, endings((d.record, outcome.value) for d, outcome in handled))


def _read_again(
    rows: Iterable[ParkedMessage], parse: ParseSuggestions
) -> tuple[list[Delivery], list[DeadLetter]]:
    """Read parked records; `parse` may have become stricter since they came."""
    deliveries: list[Delivery] = []
    unreadable: list[DeadLetter] = []
    for row in rows:
        try:
            deliveries.append(Delivery(row.record, parse(row.record)))
        except ValidationFailedError as error:
            unreadable.append(DeadLetter(row.record, Reason.INVALID, error.detail))
    return deliveries, unreadable


def _facts(
    store: MemoryStore,
    deliveries: Sequence[Delivery],
    now: datetime,
    *,
    handled: AbstractSet[UUID],
    held: AbstractSet[UUID],
    expired: AbstractSet[UUID],
) -> IntakeFacts:
    named = {delivery.message.class_id for delivery in deliveries}
    return IntakeFacts(
        now=now,
        handled=handled,
        held=held,
        expired=expired,
        classes={c: summary(store.classes[c]) for c in named if c in store.classes},
        members={class_id: store.members(class_id) for class_id in named},
        students=store.students.keys(),
        batches=store.batches,
        associated_essays=store.associations.keys(),
    )


def _carry_out(store: MemoryStore, planned: IntakePlan, now: datetime) -> None:
    """Store what a plan wants stored, except for what it parks."""
    store.batches.update(planned.new_batches)
    for new in planned.associations:
        associate(store, new, now)
    store.inbox.update({delivery.message.event_id: now for delivery in planned.stored})
    store.publish(planned.messages)
    dead_letter(store, planned.dead_letters)
    for batch_id in planned.touched_batches:
        settle(store, batch_id, now)


def _park(store: MemoryStore, delivery: Delivery, now: datetime) -> None:
    message = delivery.message
    store.parked[message.event_id] = ParkedMessage(
        event_id=message.event_id,
        batch_id=message.batch_id,
        record=delivery.record,
        deadline=now + store.policy.suggestion_retry,
        next_try=now + min(_pause(0), store.policy.suggestion_retry),
        tries=0,
    )


def _tried(row: ParkedMessage, now: datetime) -> ParkedMessage:
    tries = row.tries + 1
    return replace(row, tries=tries, next_try=now + _pause(tries))


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
