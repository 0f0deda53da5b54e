"""Who has an external id, and keeping one for somebody until the commit.

It is kept by a row that is gone at the commit, since the unique index would refuse an update with
an error that quotes it, and PostgreSQL writes errors into its log.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rules.errors import ExternalIdConflictError
from rules.ids import new_id
from rules.models import ClassRecord, StudentRecord
from store.postgres import outbox, sql
from store.postgres.database import Connection

#: Who had an external id may be gone when it is looked for: then it is free.
_ATTEMPTS: Final = 3


async def holders(
    connection: Connection, wanted: Sequence[tuple[UUID, str, str]]
) -> dict[UUID, UUID]:
    """Return which students have an external id.

    `wanted` are ids of whatever asks, owners and external ids.
    """
    if not wanted:
        return {}
    found = await connection.fetch(sql.students.EXTERNAL_ID_HOLDERS, *outbox.transposed(wanted, 3))
    return {row["of_id"]: row["id"] for row in found}


async def class_holders(
    connection: Connection, wanted: Sequence[tuple[UUID, str, str]]
) -> dict[UUID, UUID]:
    """Return which classes have an external id, as `holders` does."""
    if not wanted:
        return {}
    found = await connection.fetch(sql.classes.CLASSES_CALLED, *outbox.transposed(wanted, 3))
    return {row["of_id"]: row["id"] for row in found}


async def claim(connection: Connection, wanted: Sequence[tuple[UUID, str, str]]) -> set[UUID]:
    """Keep external ids for locked students, each of an owner once.

    `wanted` are ids of whatever asks, owners and external ids. Returns those who got theirs: nobody
    had it.
    """
    if not wanted:
        return set()
    claims = {new_id(): one for one in wanted}
    values = [(claim_id, owner, called) for claim_id, (_, owner, called) in claims.items()]
    found = await connection.fetch(sql.students.CLAIM_EXTERNAL_IDS, *outbox.transposed(values, 3))
    ids = [row["id"] for row in found]
    if ids:
        await connection.execute(sql.students.DROP_CLAIMS, ids)
    return {claims[claim_id][0] for claim_id in ids}


async def claim_one(connection: Connection, record: StudentRecord, external_id: str) -> None:
    """Keep an external id for a locked student. Raises ExternalIdConflictError."""
    wanted = [(record.id, record.owner_id, external_id)]
    for _ in range(_ATTEMPTS):
        if await claim(connection, wanted):
            return
        found = await holders(connection, wanted)
        if found:
            raise ExternalIdConflictError(student_id=found[record.id])
    raise ExternalIdConflictError


async def claim_for_class(connection: Connection, record: ClassRecord, external_id: str) -> None:
    """Keep an external id for a locked class. Raises ExternalIdConflictError."""
    claim_id, wanted = new_id(), [(record.id, record.owner_id, external_id)]
    values = claim_id, record.owner_id, record.course_code, external_id
    for _ in range(_ATTEMPTS):
        if await connection.fetchval(sql.classes.CLAIM_CLASS_EXTERNAL_ID, *values):
            await connection.execute(sql.classes.DROP_CLASS_CLAIM, claim_id)
            return
        found = await class_holders(connection, wanted)
        if found:
            raise ExternalIdConflictError(class_id=found[record.id])
    raise ExternalIdConflictError
