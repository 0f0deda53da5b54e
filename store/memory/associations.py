"""A teacher's view of a batch and decisions on it, in memory."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rules.models import (
    AssociationView,
    BatchTotals,
    BatchView,
    Caller,
    HumanDecision,
    PastDecision,
)
from rules.timeouts import open_until
from store.memory import corrections, decisions
from store.memory.state import MemoryStore


class MemoryAssociationRepository:
    """Implements AssociationRepositoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        cls = self._store.owned_class_of_batch(owner_id, batch_id)
        associations = self._store.associations_of(batch_id)
        views = tuple(corrections.view(self._store, a) for a in associations)
        return BatchView(batch_id, cls.id, open_until(associations), views)

    async def confirm(
        self, caller: Caller, batch_id: UUID, wanted: Sequence[HumanDecision]
    ) -> BatchTotals:
        return decisions.confirm(self._store, caller, batch_id, wanted)

    async def get_association(
        self, owner_id: str, batch_id: UUID, essay_id: UUID
    ) -> AssociationView:
        found = corrections.association(self._store, owner_id, batch_id, essay_id)
        return corrections.view(self._store, found)

    async def history(self, owner_id: str, batch_id: UUID, essay_id: UUID) -> list[PastDecision]:
        return corrections.past(self._store, owner_id, batch_id, essay_id)

    async def correct(
        self, caller: Caller, batch_id: UUID, essay_id: UUID, student_id: UUID | None
    ) -> AssociationView:
        return corrections.correct(self._store, caller, batch_id, essay_id, student_id)
