"""Queries of the service's PostgreSQL, and changes that no request can make."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from devstack.rig.waiting import until

CONNECT_SECONDS: Final = 60.0

ELAPSE = """
update associations set confirm_by = clock_timestamp()
where batch_id = $1 and status = 'pending_validation'
"""

DECIDED_EARLY = """
select essay_id from associations
where batch_id = $1 and method = 'timeout' and validated_at < confirm_by
"""


@asynccontextmanager
async def connected(
    url: str,
    connect_seconds: float = CONNECT_SECONDS,
    server_settings: dict[str, str] | None = None,
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect for the length of the context."""
    connection = await asyncpg.connect(
        url, timeout=connect_seconds, server_settings=server_settings
    )
    try:
        yield connection
    finally:
        await connection.close()


class Database:
    """Opens a connection for each query, since tests restart the server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self) -> AbstractAsyncContextManager["asyncpg.Connection[asyncpg.Record]"]:
        """Connect for more than one query."""
        return connected(self._url, connect_seconds=20)

    async def value(self, sql: str, *arguments: object) -> Any:  # noqa: ANN401  # any column
        """Return the first value of the first row."""
        async with self.connect() as connection:
            return await connection.fetchval(sql, *arguments)

    async def column(self, sql: str, *arguments: object) -> list[Any]:
        """Return the first value of every row."""
        async with self.connect() as connection:
            return [row[0] for row in await connection.fetch(sql, *arguments)]

    async def execute(self, sql: str, *arguments: object) -> None:
        """Execute a statement without a result."""
        async with self.connect() as connection:
            await connection.execute(sql, *arguments)

    async def outbox_drained(self) -> None:
        """Wait until everything committed has reached Kafka."""

        async def drained() -> bool:
            return not await self.value("select count(*) from outbox")

        await until("an empty outbox", drained)

    async def elapse(self, batch_id: str) -> None:
        """Set the deadline of a batch's pending essays to now."""
        await self.execute(ELAPSE, UUID(batch_id))

    async def keep_parked(self, batch_id: str) -> None:
        """Let no message of a batch that waits for its class or a student be given up."""
        sql = "update parked set deadline = deadline + interval '1 day' where batch_id = $1"
        await self.execute(sql, UUID(batch_id))

    async def decided_early(self, batch_id: str) -> list[UUID]:
        """Return the essays that the clock decided before their deadline."""
        return await self.column(DECIDED_EARLY, UUID(batch_id))

    async def passed(self, moment: datetime) -> None:
        """Wait until PostgreSQL's clock has passed an instant."""

        async def later() -> bool:
            return bool(await self.value("select clock_timestamp() > $1", moment))

        await until(f"{moment} to pass", later)

    async def deadline(self, batch_id: str) -> datetime:
        """Return when the first pending essay of a batch falls due."""
        sql = "select min(confirm_by) from associations where batch_id = $1"
        found: datetime = await self.value(sql, UUID(batch_id))
        return found

    async def pending(self, batch_id: str) -> int:
        """Return how many essays of a batch are undecided."""
        sql = "select count(*) from associations where batch_id = $1 and method is null"
        found: int = await self.value(sql, UUID(batch_id))
        return found

    async def insert_class(self, class_id: str, owner_id: str) -> None:
        """Create a class with a given id."""
        await self.execute(
            "insert into classes (id, owner_id, name, course_code) values ($1, $2, '9A', 'SV1')",
            UUID(class_id),
            owner_id,
        )

    async def insert_student(self, student_id: str, owner_id: str, class_id: str) -> None:
        """Create a student with a given id, as a member of a class."""
        async with self.connect() as connection, connection.transaction():
            await connection.execute(
                """
                insert into students (id, owner_id, first_name, last_name, legal_full_name)
                values ($1, $2, 'Sen', 'Ankomst', 'Sen Ankomst')
                """,
                UUID(student_id),
                owner_id,
            )
            await connection.execute(
                "insert into enrollments (class_id, student_id, owner_id) values ($1, $2, $3)",
                UUID(class_id),
                UUID(student_id),
                owner_id,
            )
