"""A teacher's view of a batch, and what the teacher decides."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.batches import ALL, BatchPage, BatchQuery, Page
from rules.conditions import Condition
from rules.models import (
    AssociationView,
    BatchTotals,
    BatchView,
    Caller,
    HumanDecision,
    PastDecision,
)


class AssociationRepositoryProtocol(Protocol):
    """Batches of essays and the students decided for them.

    What takes a condition raises PreconditionFailedError where it does not hold.
    """

    async def get_batch(self, owner_id: str, batch_id: UUID, page: Page = ALL) -> BatchView:
        """Return a batch with its associations. Raises BatchNotFoundError."""

    async def list_batches(self, owner_id: str, query: BatchQuery) -> BatchPage:
        """Return a page of the owner's batches; a class of another owner has none."""

    async def confirm(
        self,
        caller: Caller,
        batch_id: UUID,
        decisions: Sequence[HumanDecision],
        min_confidence: float | None = None,
        condition: Condition | None = None,
    ) -> BatchTotals:
        """Apply a teacher's decisions, all or none; the last one closes the batch.

        Then every suggestion that is still pending is confirmed, if its confidence is at least
        `min_confidence`. The condition is on the tag of the batch's whole list.

        Raises BatchNotFoundError, ValidationFailedError, BatchConflictError.
        """

    async def get_association(
        self, owner_id: str, batch_id: UUID, essay_id: UUID
    ) -> AssociationView:
        """Return one association. Raises BatchNotFoundError, EssayNotFoundError."""

    async def history(self, owner_id: str, batch_id: UUID, essay_id: UUID) -> list[PastDecision]:
        """Return every decision on an essay, the one that stands last; none while it is pending.

        Raises BatchNotFoundError, EssayNotFoundError.
        """

    async def correct(
        self,
        caller: Caller,
        batch_id: UUID,
        essay_id: UUID,
        student_id: UUID | None,
        condition: Condition | None = None,
    ) -> AssociationView:
        """Correct the decision on an essay, also of a closed batch; None is nobody.

        The decision that stood goes into the history. The same decision again changes nothing.

        Raises BatchNotFoundError, EssayNotFoundError, BatchConflictError (nothing is decided yet),
        ValidationFailedError (the student is not in the class).
        """
