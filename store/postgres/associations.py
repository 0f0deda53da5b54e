"""A teacher's view of a batch and decisions on it, on PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from rules.batches import ALL, BatchPage, BatchQuery, BatchState, Page
from rules.conditions import Condition
from rules.models import (
    AssociationView,
    BatchTotals,
    BatchView,
    Caller,
    HumanDecision,
    PastDecision,
    Policy,
)
from store.postgres import batch_views, corrections, decisions, rows, sql
from store.postgres.database import Database


class PostgresAssociationRepository:
    """Implements AssociationRepositoryProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def get_batch(self, owner_id: str, batch_id: UUID, page: Page = ALL) -> BatchView:
        async with self._database.acquire() as connection:
            return await batch_views.read(connection, owner_id, batch_id, page)

    async def list_batches(self, owner_id: str, query: BatchQuery) -> BatchPage:
        async with self._database.acquire() as connection:
            least = self._policy.high_confidence
            found = await connection.fetch(
                sql.batches.LIST_BATCHES, owner_id, *_values(query), least
            )
        batches = tuple(rows.batch_summary(row) for row in found if row["batch_id"] is not None)
        return BatchPage(batches[: query.limit], len(batches) > query.limit, found[0]["now"])

    async def confirm(
        self,
        caller: Caller,
        batch_id: UUID,
        wanted: Sequence[HumanDecision],
        min_confidence: float | None = None,
        condition: Condition | None = None,
    ) -> BatchTotals:
        return await self._database.transact(
            lambda connection: decisions.confirm(
                connection, caller, batch_id, wanted, self._policy, min_confidence, condition
            )
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
        self,
        caller: Caller,
        batch_id: UUID,
        essay_id: UUID,
        student_id: UUID | None,
        condition: Condition | None = None,
    ) -> AssociationView:
        return await self._database.transact(
            lambda connection: corrections.correct(
                connection, caller, batch_id, essay_id, student_id, condition
            )
        )


def _values(query: BatchQuery) -> tuple[object, ...]:
    pending = query.behind(BatchState.PENDING) or (None, None)
    closed = query.behind(BatchState.CLOSED) or (None, None)
    return query.class_id, query.limit, query.wants_pending, *pending, query.wants_closed, *closed
