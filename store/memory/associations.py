"""Batches of essays and whose they are, in memory."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from rules import timeouts
from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.errors import EssayNotFoundError
from rules.models import (
    Association,
    AssociationView,
    Batch,
    BatchState,
    BatchTotals,
    BatchView,
    Caller,
    ClassSummary,
    Delivery,
    EssayStudent,
    HumanDecision,
    ParseSuggestions,
    PendingBatch,
)
from rules.progress import Progress
from rules.suggestions import Outcome
from store.memory import dead_letters, inbox, progress
from store.memory.batches import (
    apply,
    class_of,
    confirm,
    owned_class,
    pending_batch,
    publish_timer,
    settle,
    unknown_student,
)
from store.memory.state import MemoryStore
from store.protocols import DecidedByClock


class MemoryAssociationRepository:
    """Meets AssociationRepositoryProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> list[Outcome]:
        """Store messages in their order; again has no effect."""
        outcomes = inbox.store_suggestions(self._store, deliveries)
        progress.keep(self._store, reached)
        return outcomes

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> list[Outcome]:
        """Try parked messages again that are due for it."""
        return inbox.retry_parked(self._store, parse, limit)

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        """Publish records to their dead-letter topics; return how many were new."""
        new = inbox.dead_letter(self._store, letters)
        progress.keep(self._store, reached)
        return new

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        """Keep what became of replayed dead letters."""
        dead_letters.note(self._store, ended)

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        """Return a batch with its associations. Raises BatchNotFoundError."""
        cls = owned_class(self._store, owner_id, batch_id)
        associations = self._store.associations_of(batch_id)
        views = tuple(AssociationView(a, self._name(a)) for a in associations)
        return BatchView(batch_id, cls.id, timeouts.open_until(associations), views)

    async def confirm(
        self, caller: Caller, batch_id: UUID, decisions: Sequence[HumanDecision]
    ) -> BatchTotals:
        """Apply a teacher's decisions, all or none.

        Raises BatchNotFoundError, ValidationFailedError, BatchConflictError.
        """
        return confirm(self._store, caller, batch_id, decisions)

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = timeouts.ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        """Decide what is due in these batches, and publish how each one's timer stands."""
        asked = list(dict.fromkeys(batch_ids))
        taken = timeouts.first_batches(map(self._count_due, asked), most)
        lateness: list[float] = []
        for batch_id in asked[:taken]:
            lateness += self._decide_due(batch_id)
        return DecidedByClock(len(lateness), tuple(lateness), tuple(asked[taken:]))

    async def overdue(self, limit: int, grace_seconds: float) -> list[UUID]:
        """Return batches that have been due for `grace_seconds`, longest first."""
        until = self._store.now() - timedelta(seconds=grace_seconds)
        due = [batch for batch in self._pending() if batch.confirm_by <= until]
        due.sort(key=lambda batch: (batch.confirm_by, batch.batch_id))
        return [batch.batch_id for batch in due[:limit]]

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        """Return batches with pending associations by ascending id, from behind `after`."""
        behind = [batch for batch in self._pending() if after is None or batch.batch_id > after]
        return sorted(behind, key=lambda batch: batch.batch_id)[:limit]

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        """Publish how the timers of these batches stand."""
        now = self._store.now()
        for batch_id in dict.fromkeys(batch_ids):
            publish_timer(self._store, batch_id, now)

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        """Return how these batches stand; unknown ones are left out."""
        found = (self._store.batches.get(batch_id) for batch_id in dict.fromkeys(batch_ids))
        return [self._state(batch) for batch in found if batch is not None]

    async def student_names(self, batch_id: UUID) -> list[EssayStudent]:
        """Return the decided essays of a batch with their students."""
        decided = map(self._essay_student, self._store.associations_of(batch_id))
        return [essay for essay in decided if essay is not None]

    async def essay_student(self, essay_id: UUID) -> EssayStudent:
        """Return the student decided for an essay. Raises EssayNotFoundError."""
        association = self._store.associations.get(essay_id)
        found = self._essay_student(association) if association else None
        if found is None:
            raise EssayNotFoundError
        return found

    async def class_info(self, batch_ids: Sequence[UUID]) -> dict[UUID, ClassSummary]:
        """Return the classes of these batches; those without one are left out."""
        classes = {batch_id: class_of(self._store, batch_id) for batch_id in batch_ids}
        return {batch_id: cls for batch_id, cls in classes.items() if cls is not None}

    def _name(self, association: Association) -> str | None:
        shown = association.student_id or association.suggested_student_id
        return self._store.students[shown].name.legal_full_name if shown else None

    def _count_due(self, batch_id: UUID) -> int:
        now = self._store.now()
        return sum(a.confirm_by <= now for a in self._store.pending_of(batch_id))

    def _decide_due(self, batch_id: UUID) -> list[float]:
        """Decide what is due in one batch; return how late each decision comes, in seconds."""
        now, policy = self._store.now(), self._store.policy
        pending = self._store.pending_of(batch_id)
        verdicts = timeouts.due(pending, now, policy.high_confidence)
        cls = class_of(self._store, batch_id)
        if cls is not None and verdicts:
            unknown = None
            if any(verdict.keeps is None for verdict in verdicts):
                unknown = unknown_student(self._store, self._store.batches[batch_id], cls)
            apply(self._store, [timeouts.decide(v, unknown) for v in verdicts], now)
        settle(self._store, batch_id, now)
        decided = {verdict.essay_id for verdict in verdicts}
        return [(now - a.confirm_by).total_seconds() for a in pending if a.essay_id in decided]

    def _pending(self) -> list[PendingBatch]:
        found = (pending_batch(self._store, batch_id) for batch_id in self._store.batches)
        return [batch for batch in found if batch is not None]

    def _state(self, batch: Batch) -> BatchState:
        pending = self._store.pending_of(batch.id)
        soonest = pending[0].confirm_by if pending else None
        return BatchState(batch.id, len(pending), soonest, batch.closed_at)

    def _essay_student(self, association: Association) -> EssayStudent | None:
        if association.student_id is None:
            return None
        name = self._store.students[association.student_id].name
        return EssayStudent(association.essay_id, association.student_id, name)
