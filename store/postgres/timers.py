"""The deadlines of batches, on PostgreSQL."""

from collections.abc import Collection, Sequence
from uuid import UUID

from rules.events import timers
from rules.models import BatchState, PendingBatch, Policy
from rules.timeouts import ESSAYS_AT_ONCE
from store.clock import utc_now
from store.postgres import decisions, outbox, sql
from store.postgres.closing import close_decided
from store.postgres.database import Connection, Database
from store.protocols.timers import DecidedByClock


class PostgresTimers:
    """Implements TimerProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        return await self._database.transact(
            lambda connection: decisions.decide_due(connection, batch_ids, most, self._policy)
        )

    async def overdue(
        self, limit: int, grace_seconds: float, without: Collection[UUID] = ()
    ) -> list[UUID]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.timers.OVERDUE, limit, grace_seconds, list(without))
        return [row["batch_id"] for row in found]

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.timers.PENDING_BATCHES, after, limit)
        return [PendingBatch(**dict(row)) for row in found]

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        async def work(connection: Connection) -> None:
            locked = await connection.fetch(sql.suggestions.LOCK_BATCHES, batch_ids)
            there = [row["id"] for row in locked]
            at = utc_now()
            unknown = sorted(set(batch_ids) - set(there))
            messages = [timers.cleared_unknown(batch_id, at) for batch_id in unknown]
            messages += await close_decided(connection, there, self._policy)
            await outbox.put(connection, messages)

        await self._database.transact(work)

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.closing.BATCH_STATES, batch_ids)
        return [
            BatchState(row["id"], row["pending"], row["confirm_by"], row["closed_at"])
            for row in found
        ]
