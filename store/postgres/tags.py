"""Tags of what PostgreSQL has, and conditions on them (rules.tags, rules.conditions)."""

from dataclasses import dataclass, replace
from uuid import UUID

from rules.conditions import Condition
from rules.errors import ClassNotFoundError
from rules.models import ClassRecord, TaggedClass
from store.postgres import batch_views, sql
from store.postgres.database import Connection
from store.tagging import batch_tag, tag_of


@dataclass(frozen=True, slots=True)
class ClassDocument:
    """A class with its students as UTF-8 JSON, and how many it counts."""

    student_count: int
    json: bytes


async def class_document(
    connection: Connection, owner_id: str | None, class_id: UUID
) -> ClassDocument:
    """Return a class with its students. Raises ClassNotFoundError."""
    row = await connection.fetchrow(sql.documents.CLASS_DOCUMENT, class_id, owner_id)
    if row is None:
        raise ClassNotFoundError
    return ClassDocument(row["student_count"], row["document"])


async def tagged_class(connection: Connection, record: ClassRecord) -> TaggedClass:
    """Return a locked class with its tag, and as many students as the tag covers."""
    document = await class_document(connection, record.owner_id, record.id)
    counted = replace(record, student_count=document.student_count)
    return TaggedClass(counted, await tag_of(document.json))


async def check_class(
    connection: Connection, owner_id: str, class_id: UUID, condition: Condition
) -> None:
    """Check the condition on a locked class. Raises PreconditionFailedError."""
    document = await class_document(connection, owner_id, class_id)
    condition.check(await tag_of(document.json))


async def check_batch(
    connection: Connection, owner_id: str, batch_id: UUID, condition: Condition
) -> None:
    """Check the condition on a locked batch's whole list. Raises PreconditionFailedError."""
    whole = await batch_views.read(connection, owner_id, batch_id)
    condition.check(await batch_tag(whole))
