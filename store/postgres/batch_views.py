"""Batches as their teachers see them, on PostgreSQL."""

from uuid import UUID

from rules.batches import ALL, Page
from rules.errors import BatchNotFoundError
from rules.models import BatchView
from store.postgres import rows, sql
from store.postgres.database import Connection


async def read(
    connection: Connection, owner_id: str, batch_id: UUID, page: Page = ALL
) -> BatchView:
    """Return a batch with its associations, as AssociationRepositoryProtocol says."""
    after = page.after or (None, None)
    found = await connection.fetch(sql.batches.GET_BATCH, batch_id, owner_id, page.limit, *after)
    if not found:
        raise BatchNotFoundError
    first = found[0]
    return BatchView(
        batch_id=batch_id,
        class_id=first["class_id"],
        confirm_by=first["open_until"],
        closed_at=first["closed_at"],
        associations=await rows.shown(found[: page.limit]),
        more=page.limit is not None and len(found) > page.limit,
        now=first["now"],
    )
