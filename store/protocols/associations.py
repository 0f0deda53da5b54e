"""A teacher's view of a batch, and what the teacher decides."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.models import BatchTotals, BatchView, Caller, HumanDecision


class AssociationRepositoryProtocol(Protocol):
    """Batches of essays and the students decided for them."""

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        """Return a batch with its associations. Raises BatchNotFoundError."""

    async def confirm(
        self, caller: Caller, batch_id: UUID, decisions: Sequence[HumanDecision]
    ) -> BatchTotals:
        """Apply a teacher's decisions, all or none; the last one closes the batch.

        Raises BatchNotFoundError, ValidationFailedError, BatchConflictError.
        """
