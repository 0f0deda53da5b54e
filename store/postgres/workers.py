"""The workers that run now, in PostgreSQL."""

from collections.abc import Iterable

import asyncpg

from store.postgres import sql
from store.postgres.database import Database
from store.protocols.workers import WorkerRecord


class PostgresWorkerRegistry:
    """Implements WorkerRegistryProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, own: WorkerRecord, forget_seconds: float) -> list[WorkerRecord]:
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                sql.workers.ANNOUNCE,
                own.worker,
                own.url,
                own.partitions,
                own.version,
                own.role,
                own.started_at,
                forget_seconds,
            )
        return _records(rows)

    async def known(self, forget_seconds: float) -> list[WorkerRecord]:
        async with self._database.acquire() as connection:
            rows = await connection.fetch(sql.workers.KNOWN_WORKERS, forget_seconds)
        return _records(rows)

    async def withdraw(self, own: WorkerRecord) -> None:
        async with self._database.acquire() as connection:
            await connection.execute(sql.workers.WITHDRAW, own.worker, own.started_at)


def _records(rows: Iterable[asyncpg.Record]) -> list[WorkerRecord]:
    return [
        WorkerRecord(
            row["worker"],
            row["url"],
            tuple(row["partitions"]),
            row["version"],
            row["role"],
            row["started_at"],
        )
        for row in rows
    ]
