"""A teacher's view of a batch and decisions on it, in memory."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rules.models import Association, AssociationView, BatchTotals, BatchView, Caller, HumanDecision
from rules.timeouts import open_until
from store.memory import decisions
from store.memory.state import MemoryStore


class MemoryAssociationRepository:
    """Implements AssociationRepositoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        cls = self._store.owned_class_of_batch(owner_id, batch_id)
        associations = self._store.associations_of(batch_id)
        views = tuple(AssociationView(a, self._name(a)) for a in associations)
        return BatchView(batch_id, cls.id, open_until(associations), views)

    async def confirm(
        self, caller: Caller, batch_id: UUID, wanted: Sequence[HumanDecision]
    ) -> BatchTotals:
        return decisions.confirm(self._store, caller, batch_id, wanted)

    def _name(self, association: Association) -> str | None:
        shown = association.student_id or association.suggested_student_id
        return self._store.students[shown].name.legal_full_name if shown else None
