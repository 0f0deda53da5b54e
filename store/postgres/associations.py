"""A teacher's view of a batch and decisions on it, on PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from rules.errors import BatchNotFoundError
from rules.models import (
    AssociationView,
    BatchTotals,
    BatchView,
    Caller,
    HumanDecision,
    PastDecision,
    Policy,
)
from rules.timeouts import open_until
from store.postgres import corrections, decisions, rows, sql
from store.postgres.database import Database


class PostgresAssociationRepository:
    """Implements AssociationRepositoryProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.GET_BATCH, batch_id, owner_id)
        if not found:
            raise BatchNotFoundError
        views = [
            AssociationView(rows.association(row), row["student_name"])
            for row in found
            if row["essay_id"] is not None
        ]
        confirm_by = open_until(view.association for view in views)
        return BatchView(batch_id, found[0]["class_id"], confirm_by, tuple(views))

    async def confirm(
        self, caller: Caller, batch_id: UUID, wanted: Sequence[HumanDecision]
    ) -> BatchTotals:
        return await self._database.transact(
            lambda connection: decisions.confirm(connection, caller, batch_id, wanted, self._policy)
        )

    async def get_association(
        self, owner_id: str, batch_id: UUID, essay_id: UUID
    ) -> AssociationView:
        async with self._database.acquire() as connection:
            return await corrections.association(connection, owner_id, batch_id, essay_id)

    async def history(self, owner_id: str, batch_id: UUID, essay_id: UUID) -> list[PastDecision]:
        async with self._database.acquire() as connection:
            return await corrections.past(connection, owner_id, batch_id, essay_id)

    async def correct(
        self, caller: Caller, batch_id: UUID, essay_id: UUID, student_id: UUID | None
    ) -> AssociationView:
        return await self._database.transact(
            lambda connection: corrections.correct(
                connection, caller, batch_id, essay_id, student_id
            )
        )
