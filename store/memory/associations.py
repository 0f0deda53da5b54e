"""A teacher's view of a batch and decisions on it, in memory."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from rules.batches import ALL, BatchPage, BatchQuery, BatchState, BatchSummary, Page
from rules.conditions import Condition
from rules.models import (
    AssociationView,
    BatchTotals,
    BatchView,
    Caller,
    ClassSummary,
    HumanDecision,
    PastDecision,
)
from rules.tags import batch_tag
from store.memory import batch_views, corrections, decisions
from store.memory.state import MemoryStore
from store.memory.trials import OnTrial


class MemoryAssociationRepository(OnTrial):
    """Implements AssociationRepositoryProtocol."""

    async def get_batch(self, owner_id: str, batch_id: UUID, page: Page = ALL) -> BatchView:
        return batch_views.read(self._store, owner_id, batch_id, page)

    async def list_batches(self, owner_id: str, query: BatchQuery) -> BatchPage:
        summaries = list(self._summaries(owner_id, query.class_id))
        pending = [s for s in summaries if s.closed_at is None and query.wants_pending]
        closed = [s for s in summaries if s.closed_at is not None and query.wants_closed]
        pending.sort(key=_stands)
        closed.sort(key=_stands, reverse=True)
        after, before = query.behind(BatchState.PENDING), query.behind(BatchState.CLOSED)
        found = [
            *(s for s in pending if after is None or _stands(s) > after),
            *(s for s in closed if before is None or _stands(s) < before),
        ]
        page = tuple(found[: query.limit])
        return BatchPage(page, len(found) > query.limit, self._store.now())

    def _summaries(self, owner_id: str, class_id: UUID | None) -> Iterable[BatchSummary]:
        for batch_id in self._store.batches:
            cls = self._store.class_of_batch(batch_id)
            if cls and cls.owner_id == owner_id and class_id in {None, cls.id}:
                yield _summary(self._store, batch_id, cls)

    async def confirm(
        self,
        caller: Caller,
        batch_id: UUID,
        wanted: Sequence[HumanDecision],
        min_confidence: float | None = None,
        condition: Condition | None = None,
    ) -> BatchTotals:
        if condition:
            whole = batch_views.read(self._store, caller.user_id, batch_id)
            # At once: while store.tagging makes it in pieces another could decide.
            condition.check(batch_tag(whole))
        return decisions.confirm(self._store, caller, batch_id, wanted, min_confidence)

    async def get_association(
        self, owner_id: str, batch_id: UUID, essay_id: UUID
    ) -> AssociationView:
        found = corrections.association(self._store, owner_id, batch_id, essay_id)
        return corrections.view(self._store, found)

    async def history(self, owner_id: str, batch_id: UUID, essay_id: UUID) -> list[PastDecision]:
        return corrections.past(self._store, owner_id, batch_id, essay_id)

    async def correct(
        self,
        caller: Caller,
        batch_id: UUID,
        essay_id: UUID,
        student_id: UUID | None,
        condition: Condition | None = None,
    ) -> AssociationView:
        return corrections.correct(self._store, caller, batch_id, essay_id, student_id, condition)


def _stands(summary: BatchSummary) -> tuple[datetime, UUID]:
    return summary.place.at, summary.batch_id


def _summary(store: MemoryStore, batch_id: UUID, cls: ClassSummary) -> BatchSummary:
    pending, least = store.pending_of(batch_id), store.policy.high_confidence
    return BatchSummary(
        batch_id=batch_id,
        class_id=cls.id,
        class_name=cls.name,
        course_code=cls.course_code,
        total=store.size_of(batch_id),
        pending=len(pending),
        unmatched=sum(a.suggested_student_id is None for a in pending),
        certain=sum(a.suggested_student_id is not None and a.confidence >= least for a in pending),
        confirm_by=pending[0].confirm_by if pending else None,
        created_at=store.begun[batch_id],
        closed_at=store.batches[batch_id].closed_at,
    )
