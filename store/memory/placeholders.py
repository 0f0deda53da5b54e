"""The UNKNOWN students of classes in memory: found or made for the clock, and settled."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final
from uuid import UUID

from rules import placeholders
from rules.ids import new_id
from rules.models import SYSTEM_AUTO, Batch, Caller, ClassSummary, StudentRecord, Trace
from rules.placeholders import Settled, Settlement, settlements
from rules.timeouts import unknown_student, unknown_student_email
from store.memory import roster, students
from store.memory.state import MemoryStore


class MemoryPlaceholders:
    """Implements PlaceholderProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def settle(self, after: UUID | None, limit: int) -> Settled:
        ids = sorted(i for i in self._store.students if after is None or i > after)
        found = settlements(self._store.students[i] for i in ids)
        changed = list(islice(found, limit))
        _store_settled(self._store, changed, Trace(new_id()))
        return placeholders.summary(changed, changed[-1].after.id if changed else None)

    async def withdraw(self, limit: int) -> list[UUID]:
        suggested = {a.suggested_student_id for a in self._store.associations.values() if a.pending}
        found = [
            i
            for i in suggested - {None}
            if i is not None and self._store.students[i].is_placeholder
        ]
        for student_id in found[:limit]:
            owner_id = self._store.students[student_id].owner_id
            caller = Caller(owner_id, Trace(new_id()))
            roster.withdraw(self._store, caller, student_id, None, SYSTEM_AUTO)
        return found[:limit]


def find(store: MemoryStore, cls: ClassSummary, trace: Trace) -> UUID | None:
    """Return a class's UNKNOWN student, enrolled there, if it has one.

    Whoever else has its address loses it, or becomes what the service meant by it.
    """
    holder = store.email_holder(cls.owner_id, unknown_student_email(cls.id))
    if holder is None:
        return None
    _store_settled(store, settlements([store.students[holder]]), trace)
    found = placeholders.of_class(cls.id, [store.students[holder]])
    if found and cls.id not in found.class_ids:
        _enrol(store, found, cls, trace)
    return found.id if found else None


def make(store: MemoryStore, batch: Batch, cls: ClassSummary, by: str) -> UUID:
    """Make the UNKNOWN student of a class that has none; `by` needs it."""
    return students.add_student(store, unknown_student(cls, batch.trace, by), [cls]).id


def _store_settled(store: MemoryStore, changed: Iterable[Settlement], trace: Trace) -> None:
    changed = list(changed)
    now = store.now()
    for settlement in changed:
        store.put_student(replace(settlement.after, updated_at=now))
    store.remember(placeholders.changes(changed, trace))
    store.publish(placeholders.messages(changed, trace, now))


def _enrol(store: MemoryStore, record: StudentRecord, cls: ClassSummary, trace: Trace) -> None:
    """Enrol a placeholder whose class was made anew, or which an older worker took out of it."""
    now = store.now()
    joining = placeholders.enrolled(record, cls.id)
    store.put_student(replace(joining.after, updated_at=now))
    store.remember(placeholders.enrolment_changes(joining, cls, trace))
    store.publish(placeholders.enrolment_messages(joining, cls, trace, now))
