"""What operating the store needs, on PostgreSQL."""

from datetime import datetime, timedelta
from typing import Final

from store.postgres import partitions, sql
from store.postgres.database import Database
from store.postgres.write_check import WriteCheck
from store.protocols.maintenance import Backlog, Turnover

#: Those of a busy day took longer at once than a command may.
KEYS_AT_ONCE: Final = 10_000


class PostgresMaintenance:
    """Implements MaintenanceProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._check = WriteCheck(database)

    async def check(self) -> None:
        await self._check.run()

    async def ping(self) -> datetime:
        async with self._database.acquire() as connection:
            clock: datetime = await connection.fetchval(sql.sessions.CLOCK)
        return clock

    async def backlog(self) -> Backlog:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.outbox.BACKLOG)
        counts = dict(row or {})
        return Backlog(
            outbox_depth=counts["outbox_depth"],
            outbox_age_seconds=max(counts["outbox_age"], 0.0),
            pending_associations=counts["pending"],
            parked_messages=counts["parked"],
        )

    async def purge_inbox(self, older_than_days: int) -> int:
        return await self._purge(sql.inbox.PURGE_INBOX, older_than_days)

    async def purge_deleted_classes(self, older_than_days: int) -> int:
        return await self._purge(sql.classes.PURGE_DELETED_CLASSES, older_than_days)

    async def purge_keys(self) -> int:
        gone = piece = await self._purge(sql.idempotency.PURGE_KEYS, KEYS_AT_ONCE)
        while piece == KEYS_AT_ONCE:
            piece = await self._purge(sql.idempotency.PURGE_KEYS, KEYS_AT_ONCE)
            gone += piece
        return gone

    async def _purge(self, statement: str, *values: object) -> int:
        async with self._database.acquire() as connection:
            status: str = await connection.execute(statement, *values)
        return int(status.rpartition(" ")[2])

    async def turn_over_changes(self, kept: timedelta) -> Turnover:
        return await partitions.turn_over(self._database, kept)
