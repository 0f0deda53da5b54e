"""Tags of what PostgreSQL has, and conditions on them (rules.tags, rules.conditions)."""

from dataclasses import replace
from uuid import UUID

from rules.conditions import Condition
from rules.models import ClassRecord, TaggedClass
from store.postgres import batch_views, sql
from store.postgres.database import Connection
from store.tagging import batch_tag


async def tagged_class(connection: Connection, record: ClassRecord) -> TaggedClass:
    """Return a locked class with its tag, and as many students as the tag covers."""
    row = await connection.fetchrow(sql.CLASS_TAG, record.id, record.owner_id)
    if row is None:
        raise LookupError("a locked class is gone")
    counted = replace(record, student_count=row["student_count"])
    return TaggedClass(counted, row["tag"])


async def check_class(
    connection: Connection, owner_id: str, class_id: UUID, condition: Condition
) -> None:
    """Check the condition on a locked class. Raises PreconditionFailedError."""
    condition.check(await connection.fetchval(sql.CLASS_TAG, class_id, owner_id))


async def check_batch(
    connection: Connection, owner_id: str, batch_id: UUID, condition: Condition
) -> None:
    """Check the condition on a locked batch's whole list. Raises PreconditionFailedError."""
    whole = await batch_views.read(connection, owner_id, batch_id)
    condition.check(await batch_tag(whole))
