"""What other services look up, on PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from rules.batches import ValidationStatus
from rules.errors import EssayNotFoundError
from rules.models import ClassSummary, EssayStudent
from store.postgres import rows, sql
from store.postgres.database import Database


class PostgresQueries:
    """Implements QueryProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def student_names(self, batch_id: UUID) -> list[EssayStudent]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.queries.STUDENT_NAMES, batch_id)
        return [rows.essay_student(row) for row in found]

    async def essay_student(self, essay_id: UUID) -> EssayStudent:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.queries.ESSAY_STUDENT, essay_id)
        if row is None:
            raise EssayNotFoundError
        return rows.essay_student(row)

    async def class_info(self, batch_ids: Sequence[UUID]) -> dict[UUID, ClassSummary]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.queries.CLASS_INFO, batch_ids)
        return {row["batch_id"]: rows.class_summary(row) for row in found}

    async def validation_status(self, batch_ids: Sequence[UUID]) -> dict[UUID, ValidationStatus]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.batches.VALIDATION_STATUS, batch_ids)
        return {row["batch_id"]: ValidationStatus(**dict(row)) for row in found}
