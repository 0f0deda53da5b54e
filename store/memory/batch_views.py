"""Batches as their teachers see them, in memory."""

from datetime import datetime
from uuid import UUID

from rules.batches import ALL, Page
from rules.models import Association, BatchView
from rules.timeouts import open_until
from store.memory import corrections
from store.memory.state import MemoryStore


def read(store: MemoryStore, owner_id: str, batch_id: UUID, page: Page = ALL) -> BatchView:
    """Return a batch with its associations, as AssociationRepositoryProtocol says."""
    cls = store.owned_class_of_batch(owner_id, batch_id)
    associations = store.associations_of(batch_id)
    behind = [a for a in associations if page.after is None or _place(a) > page.after]
    shown = behind[: page.limit]
    return BatchView(
        batch_id=batch_id,
        class_id=cls.id,
        confirm_by=open_until(associations),
        closed_at=store.batches[batch_id].closed_at,
        associations=tuple(corrections.view(store, a) for a in shown),
        more=len(shown) < len(behind),
        now=store.now(),
    )


def _place(association: Association) -> tuple[datetime, UUID]:
    return association.created_at, association.essay_id
