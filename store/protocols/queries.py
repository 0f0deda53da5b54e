"""What other services look up."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.batches import ValidationStatus
from rules.models import ClassSummary, EssayStudent


class QueryProtocol(Protocol):
    """Decided essays, and the classes of batches."""

    async def student_names(self, batch_id: UUID) -> list[EssayStudent]:
        """Return the decided essays of a batch with their students."""

    async def essay_student(self, essay_id: UUID) -> EssayStudent:
        """Return the student decided for an essay. Raises EssayNotFoundError."""

    async def class_info(self, batch_ids: Sequence[UUID]) -> dict[UUID, ClassSummary]:
        """Return the classes of these batches; those without one are left out."""

    async def validation_status(self, batch_ids: Sequence[UUID]) -> dict[UUID, ValidationStatus]:
        """Return how far these batches are; unknown ones are left out."""
