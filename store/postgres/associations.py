"""Batches of essays and whose they are, on PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.errors import BatchNotFoundError, EssayNotFoundError
from rules.models import (
    AssociationView,
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
    Policy,
)
from rules.progress import Progress
from rules.suggestions import Outcome
from rules.timeouts import ESSAYS_AT_ONCE, open_until
from store.postgres import dead_letters, decisions, inbox, progress, rows, sql
from store.postgres.database import Connection, Database
from store.protocols import DecidedByClock


class PostgresAssociationRepository:
    """Implements AssociationRepositoryProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> list[Outcome]:
        """Store messages in their order, all in one transaction."""

        async def work(connection: Connection) -> list[Outcome]:
            outcomes = await inbox.store(connection, deliveries, self._policy)
            await progress.keep(connection, reached)
            return outcomes

        return await self._database.transact(work)

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> list[Outcome]:
        """Try parked messages again that are due for it."""

        async def work(connection: Connection) -> list[Outcome]:
            return await inbox.retry(connection, parse, limit, self._policy)

        return await self._database.transact(work)

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        """Publish records to their dead-letter topics; return how many were new."""

        async def work(connection: Connection) -> int:
            new = await inbox.bury(connection, letters)
            await progress.keep(connection, reached)
            return new

        return await self._database.transact(work)

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        """Keep what became of replayed dead letters."""
        async with self._database.acquire() as connection:
            await dead_letters.note(connection, ended)

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        """Return a batch with its associations."""
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
        """Apply a teacher's decisions, all or none."""

        async def work(connection: Connection) -> BatchTotals:
            return await decisions.confirm(connection, caller, batch_id, wanted, self._policy)

        return await self._database.transact(work)

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        """Decide what is due in these batches by the database's clock."""

        async def work(connection: Connection) -> DecidedByClock:
            return await decisions.decide_due(connection, batch_ids, most, self._policy)

        return await self._database.transact(work)

    async def overdue(self, limit: int, grace_seconds: float) -> list[UUID]:
        """Return batches that have been due for a while, longest first."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.OVERDUE, limit, grace_seconds)
        return [row["batch_id"] for row in found]

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        """Return batches with pending associations by ascending id, from behind `after`."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.PENDING_BATCHES, after, limit)
        return [PendingBatch(**dict(row)) for row in found]

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        """Publish how the timers of these batches stand."""

        async def work(connection: Connection) -> None:
            await decisions.rearm(connection, batch_ids, self._policy)

        await self._database.transact(work)

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        """Return how these batches stand."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.BATCH_STATES, batch_ids)
        return [
            BatchState(row["id"], row["pending"], row["confirm_by"], row["closed_at"])
            for row in found
        ]

    async def student_names(self, batch_id: UUID) -> list[EssayStudent]:
        """Return the decided essays of a batch with their students."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.STUDENT_NAMES, batch_id)
        return [rows.essay_student(row) for row in found]

    async def essay_student(self, essay_id: UUID) -> EssayStudent:
        """Return the student decided for an essay."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.ESSAY_STUDENT, essay_id)
        if row is None:
            raise EssayNotFoundError
        return rows.essay_student(row)

    async def class_info(self, batch_ids: Sequence[UUID]) -> dict[UUID, ClassSummary]:
        """Return the classes of these batches."""
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.CLASS_INFO, batch_ids)
        return {row["batch_id"]: rows.class_summary(row) for row in found}
