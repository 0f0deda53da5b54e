"""Corrections of decisions, and the history of an essay, in memory."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from rules import corrections, decisions, history
from rules.conditions import Condition
from rules.errors import EssayNotFoundError
from rules.events.associations import association_updated
from rules.models import Association, AssociationView, Caller, Decision, Method, PastDecision
from rules.tags import association_tag
from store.memory.state import MemoryStore

_ABSENT: Final = "This batch has no such essay."


def view(store: MemoryStore, association: Association) -> AssociationView:
    """Return an association with the names of its students, and the suggestions of members."""
    cls = store.class_of_batch(association.batch_id)
    members = store.members(cls.id) if cls else frozenset()
    suggestions = tuple(s for s in association.suggestions if s.student_id in members)
    names = {s.student_id: _name(store, s.student_id) for s in suggestions}
    shown = association.student_id or association.suggested_student_id
    name = _name(store, shown) if shown else None
    return AssociationView(replace(association, suggestions=suggestions), name, names)


def _name(store: MemoryStore, student_id: UUID) -> str:
    return store.students[student_id].name.legal_full_name


def association(store: MemoryStore, owner_id: str, batch_id: UUID, essay_id: UUID) -> Association:
    """Return one association, as AssociationRepositoryProtocol says."""
    store.owned_class_of_batch(owner_id, batch_id)
    found = store.associations.get(essay_id)
    if found is None or found.batch_id != batch_id:
        raise EssayNotFoundError(_ABSENT)
    return found


def past(store: MemoryStore, owner_id: str, batch_id: UUID, essay_id: UUID) -> list[PastDecision]:
    """Return every decision on an essay, as AssociationRepositoryProtocol says."""
    current = corrections.decision_of(association(store, owner_id, batch_id, essay_id))
    return [*store.past.get(essay_id, ()), *([current] if current else [])]


def correct(
    store: MemoryStore,
    caller: Caller,
    batch_id: UUID,
    essay_id: UUID,
    student_id: UUID | None,
    condition: Condition | None = None,
) -> AssociationView:
    """Correct the decision on an essay, as AssociationRepositoryProtocol says."""
    current = association(store, caller.user_id, batch_id, essay_id)
    if condition:
        condition.check(association_tag(view(store, current)))
    class_id = store.owned_class_of_batch(caller.user_id, batch_id).id
    is_member = student_id in store.members(class_id)
    decision = corrections.correct(current, student_id, caller.user_id, is_member=is_member)
    if decision is None:
        return view(store, current)
    changed = _apply(store, current, decision)
    student = store.students[student_id] if student_id else None
    store.publish([association_updated(caller, batch_id, essay_id, student, store.now())])
    cause = history.Cause(caller.user_id, class_id, caller.user_id, caller.trace.correlation_id)
    store.remember([history.association_change(cause, current, changed, history.DECISION_MEMBERS)])
    return view(store, changed)


def _apply(store: MemoryStore, current: Association, decision: Decision) -> Association:
    former = corrections.decision_of(current)
    if former is not None:
        store.past[current.essay_id].append(former)
    changed = decisions.decided(current, decision, store.now())
    store.associations[current.essay_id] = changed
    if current.method is Method.TIMEOUT:
        batch = store.batches[current.batch_id]
        store.batches[batch.id] = replace(batch, timeout_triggered=True)
    return changed
