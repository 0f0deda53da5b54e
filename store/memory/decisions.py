"""Decisions on associations: a teacher's, and the clock's."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from rules import decisions, timeouts
from rules.history import DECISION_MEMBERS, Cause, association_change
from rules.models import (
    SYSTEM_TIMEOUT,
    Association,
    Batch,
    BatchTotals,
    Caller,
    ClassSummary,
    Decision,
    HumanDecision,
)
from store.memory import placeholders
from store.memory.closing import close_decided
from store.memory.state import MemoryStore
from store.protocols.timers import DecidedByClock


def confirm(
    store: MemoryStore,
    caller: Caller,
    batch_id: UUID,
    wanted: Sequence[HumanDecision],
    min_confidence: float | None = None,
) -> BatchTotals:
    """Apply a teacher's decisions, as AssociationRepositoryProtocol says."""
    cls = store.owned_class_of_batch(caller.user_id, batch_id)
    current = {a.essay_id: a for a in store.associations_of(batch_id)}
    unknown = None
    if decisions.may_need_unknown(wanted, current):
        unknown = placeholders.find(store, cls, caller.trace)
    facts = decisions.DecisionFacts(batch_id, current, store.members(cls.id), unknown)
    changes = decisions.decide(wanted, facts, caller.user_id, min_confidence)
    if changes:
        if any(map(decisions.for_unknown, changes)):
            batch = store.batches[batch_id].traced(caller.trace)
            made = placeholders.make(store, batch, cls, caller.user_id)
            changes = decisions.with_unknown(changes, made)
        now = store.now()
        cause = Cause(cls.owner_id, cls.id, caller.user_id, caller.trace.correlation_id)
        _apply(store, cause, changes, now)
        close_decided(store, batch_id, now, caller.trace)
    return decisions.totals(store.associations_of(batch_id))


def decide_due(store: MemoryStore, batch_ids: Sequence[UUID], most: int) -> DecidedByClock:
    """Decide what is due in these batches, as TimerProtocol says."""
    now = store.now()
    asked = list(dict.fromkeys(batch_ids))
    due = (sum(timeouts.is_due(a, now) for a in store.associations_of(i)) for i in asked)
    count = timeouts.first_batches(due, most)
    lateness = [late for batch_id in asked[:count] for late in _decide(store, batch_id, now)]
    return DecidedByClock(len(lateness), tuple(lateness), tuple(asked[count:]))


def _decide(store: MemoryStore, batch_id: UUID, now: datetime) -> list[float]:
    """Decide what is due in one batch; return how late each decision is, in seconds."""
    cls = store.class_of_batch(batch_id)
    pending = [_unless_left(store, a, cls.id) for a in store.pending_of(batch_id)] if cls else []
    due = [a for a in pending if timeouts.is_due(a, now)]
    if cls is not None and due:
        _decide_now(store, store.batches[batch_id], cls, due)
    close_decided(store, batch_id, now)
    return [(now - a.confirm_by).total_seconds() for a in due]


def _decide_now(
    store: MemoryStore, batch: Batch, cls: ClassSummary, due: Sequence[Association]
) -> None:
    now = store.now()
    unknown = placeholders.find(store, cls, batch.trace)
    verdicts = timeouts.due(due, now, store.policy.high_confidence, unknown)
    if unknown is None and any(verdict.keeps is None for verdict in verdicts):
        unknown = placeholders.make(store, batch, cls, SYSTEM_TIMEOUT)
    cause = Cause(cls.owner_id, cls.id, SYSTEM_TIMEOUT, batch.trace.correlation_id)
    _apply(store, cause, [timeouts.decide(v, unknown) for v in verdicts], now)


def _unless_left(store: MemoryStore, association: Association, class_id: UUID) -> Association:
    """Return an association without its suggestion if that student is not in the class."""
    if association.suggested_student_id in store.members(class_id):
        return association
    return replace(association, suggested_student_id=None)


def _apply(store: MemoryStore, cause: Cause, changes: Iterable[Decision], now: datetime) -> None:
    for decision in changes:
        before = store.associations[decision.essay_id]
        after = store.associations[decision.essay_id] = decisions.decided(before, decision, now)
        store.remember([association_change(cause, before, after, DECISION_MEMBERS)])
