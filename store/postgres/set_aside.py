"""Messages that the broker refuses for good, on PostgreSQL."""

from collections.abc import Sequence

from rules.dead_letters.letters import event_id_of
from rules.sizes import size_of
from store.postgres import rows, sql
from store.postgres.database import Connection, Database
from store.postgres.packs import unpack_headers
from store.protocols.set_aside import SetAsideCounts, SetAsideMessage


class PostgresSetAside:
    """Implements SetAsideProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refused(self) -> list[SetAsideMessage]:
        async with self._database.acquire() as connection:
            return [_message(row) for row in await connection.fetch(sql.set_aside.REFUSED)]

    async def counts(self) -> SetAsideCounts:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.set_aside.COUNT_SET_ASIDE)
        return SetAsideCounts(**dict(row or {}))

    async def retry(self, numbers: Sequence[int]) -> list[int]:
        return await self._end(numbers, sql.set_aside.RETRY_REFUSED)

    async def drop(self, numbers: Sequence[int]) -> list[int]:
        return await self._end(numbers, sql.set_aside.DROP_REFUSED)

    async def _end(self, numbers: Sequence[int], statement: str) -> list[int]:
        async def work(connection: Connection) -> list[int]:
            # Else a relay that is at work there would send later messages first.
            held = await connection.fetch(sql.set_aside.AWAIT_SHARDS, numbers)
            shards = [row["shard"] for row in held]
            return [row["id"] for row in await connection.fetch(statement, numbers, shards)]

        return await self._database.transact(work)


def _message(row: rows.Row) -> SetAsideMessage:
    headers = unpack_headers(row["headers"])
    return SetAsideMessage(
        number=row["id"],
        topic=row["topic"],
        key=row["key"],
        event_id=event_id_of(headers),
        size=size_of(row["key"], None, headers) + row["value_size"],
        reason=row["reason"],
        since=row["set_aside_at"],
        waiting=row["waiting"],
    )
