"""Closing open batches in which nobody decides any more, in memory."""

from itertools import islice
from typing import Final

from rules.decisions import decided
from rules.history import DECISION_MEMBERS, Cause, association_change
from rules.models import Association, Batch, Decision, DeletedClass, Method, Status
from rules.open_batches import Ending, Settled, ending
from store.memory.closing import close_decided, close_deleted, close_silently
from store.memory.state import MemoryStore


class MemoryOpenBatches:
    """Implements OpenBatchesProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def settle(self, limit: int) -> list[Settled]:
        return self._close(limit, with_class=False)

    async def settle_idle(self, limit: int) -> list[Settled]:
        return self._close(limit, with_class=True)

    def _close(self, limit: int, *, with_class: bool) -> list[Settled]:
        found = sorted(
            batch.id
            for batch in self._store.batches.values()
            if (batch.class_id is not None) is with_class
        )
        closed = (settle(self._store, self._store.batches[batch_id]) for batch_id in found)
        return list(islice((one for one in closed if one is not None), limit))


def settle(store: MemoryStore, batch: Batch) -> Settled | None:
    """Close a batch unless it waits for decisions or is closed."""
    deleted = store.deleted_classes.get(batch.deleted_class_id) if batch.deleted_class_id else None
    pending = store.pending_of(batch.id)
    why = ending(batch, deleted, len(pending))
    if why is Ending.NOTHING_PENDING:
        close_decided(store, batch.id, store.now())
    elif why is Ending.CLASS_DELETED and deleted:
        _reject(store, pending, deleted)
        close_deleted(store, batch, deleted)
    elif why is Ending.CLASS_UNKNOWN:
        for association in pending:
            store.drop_association(association)
        close_silently(store, batch)
    return Settled(batch.id, why, len(pending) if deleted else 0) if why else None


def _reject(store: MemoryStore, pending: list[Association], deleted: DeletedClass) -> None:
    cause = Cause(deleted.owner_id, deleted.id, deleted.deleted_by, deleted.trace.correlation_id)
    for association in pending:
        decision = Decision(
            association.essay_id, Status.REJECTED, Method.HUMAN, None, deleted.deleted_by
        )
        rejected = store.associations[association.essay_id] = decided(
            association, decision, store.now()
        )
        store.remember([association_change(cause, association, rejected, DECISION_MEMBERS)])
