"""What stores consumed messages, on PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Ended
from rules.models import Delivery, ParseSuggestions, Policy
from rules.progress import Progress
from rules.suggestions import Handled
from store.postgres import dead_letters, progress, sql, suggestions
from store.postgres.database import Connection, Database


class PostgresInbox:
    """Implements InboxProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> Handled:
        async def work(connection: Connection) -> Handled:
            handled = await suggestions.store_new(connection, deliveries, self._policy)
            await progress.keep(connection, reached)
            return handled

        return await self._database.transact(work)

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> Handled:
        return await self._database.transact(
            lambda connection: suggestions.retry_parked(connection, parse, limit, self._policy)
        )

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        async def work(connection: Connection) -> int:
            new = await dead_letters.publish(connection, letters)
            await progress.keep(connection, reached)
            return new

        return await self._database.transact(work)

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        async with self._database.acquire() as connection:
            await dead_letters.note(connection, ended)

    async def sent_replays(self, replay_ids: Sequence[UUID]) -> set[UUID]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.dead_letters.SENT_REPLAYS, replay_ids)
        return {row["replay_id"] for row in found}
