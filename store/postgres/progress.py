"""How far the consumed topics have been stored, on PostgreSQL."""

from collections.abc import Sequence

from rules.progress import Progress
from store.postgres import outbox, sql
from store.postgres.database import Connection, Database


async def keep(connection: Connection, progress: Sequence[Progress]) -> None:
    """Store progress, as the last step of the transaction that makes it true."""
    rows = [(p.group, p.topic, p.partition, p.next_offset) for p in progress]
    if rows:
        await connection.execute(sql.progress.KEEP_PROGRESS, *outbox.transposed(rows, 4))


class PostgresProgress:
    """Implements ProgressProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stored(self, group: str, topic: str) -> dict[int, int]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.progress.PROGRESS, group, topic)
        return {row["partition"]: row["next_offset"] for row in found}

    async def forget(self, group: str, topic: str) -> None:
        async with self._database.acquire() as connection:
            await connection.execute(sql.progress.FORGET_PROGRESS, group, topic)
