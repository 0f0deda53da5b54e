"""What other services look up, in memory."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rules import decisions
from rules.batches import ValidationStatus
from rules.errors import EssayNotFoundError
from rules.models import Association, ClassSummary, EssayStudent
from store.memory.state import MemoryStore


class MemoryQueries:
    """Implements QueryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def student_names(self, batch_id: UUID) -> list[EssayStudent]:
        decided = map(self._essay_student, self._store.associations_of(batch_id))
        return [essay for essay in decided if essay is not None]

    async def essay_student(self, essay_id: UUID) -> EssayStudent:
        association = self._store.associations.get(essay_id)
        found = self._essay_student(association) if association else None
        if found is None:
            raise EssayNotFoundError
        return found

    async def class_info(self, batch_ids: Sequence[UUID]) -> dict[UUID, ClassSummary]:
        classes = {batch_id: self._store.class_of_batch(batch_id) for batch_id in batch_ids}
        return {batch_id: cls for batch_id, cls in classes.items() if cls is not None}

    async def validation_status(self, batch_ids: Sequence[UUID]) -> dict[UUID, ValidationStatus]:
        return {i: self._status(i) for i in batch_ids if i in self._store.batches}

    def _status(self, batch_id: UUID) -> ValidationStatus:
        pending = self._store.pending_of(batch_id)
        return ValidationStatus(
            batch_id=batch_id,
            pending=len(pending),
            confirm_by=pending[0].confirm_by if pending else None,
            total=self._store.size_of(batch_id),
            confirmed=decisions.totals(self._store.associations_of(batch_id)).confirmed,
        )

    def _essay_student(self, association: Association) -> EssayStudent | None:
        if association.student_id is None:
            return None
        name = self._store.students[association.student_id].name
        return EssayStudent(association.essay_id, association.student_id, name)
