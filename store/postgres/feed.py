"""What changed, in the order in which it is told, on PostgreSQL."""

from typing import Any, Final
from uuid import UUID

import orjson

from rules.errors import ClassNotFoundError, ServiceError, StudentNotFoundError
from rules.feed import (
    FeedPage,
    FeedQuery,
    FeedState,
    HistoryPage,
    PastChange,
    Place,
    Position,
    ToldChange,
    history_page,
    page,
)
from rules.history import Change, ChangeKind, Entity
from store.postgres import sql
from store.postgres.database import Connection, Database
from store.postgres.rows import Row

#: Changes that one transaction numbers: a second, however many wait.
AT_ONCE: Final = 50_000
#: Of so many waiting changes at most it is asked which is the oldest.
LOOKED_AT: Final = 1_000


class PostgresFeed:
    """Implements FeedProtocol."""

    #: For tests to be smaller.
    at_once = AT_ONCE

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self, query: FeedQuery) -> FeedPage:
        statement = sql.feed.CHANGES_OF_ALL if query.owner_id is None else sql.feed.CHANGES_OF_OWNER
        after = 0 if query.after is None else query.after.sequence
        async with self._database.acquire() as connection:
            found = await connection.fetch(statement, query.owner_id, after, query.limit + 1)
        state = FeedState(found[0]["epoch"], found[0]["last_given"], found[0]["floor"])
        state.begin(query.after)
        return page(state, [_told(row) for row in found if row["id"] is not None], query.limit)

    async def end(self) -> Position:
        async with self._database.acquire() as connection:
            (row,) = await connection.fetch(sql.feed.FEED_STATE)
        return Position(row["epoch"], row["sequence"])

    async def waiting_seconds(self) -> float | None:
        async with self._database.acquire() as connection:
            seconds: float | None = await connection.fetchval(sql.feed.WAITING_CHANGES, LOOKED_AT)
        return seconds

    async def number(self) -> int:
        async def work(connection: Connection) -> int:
            if not await connection.fetchval(sql.feed.LEASE_FEED):
                return 0
            await _settle(connection)
            return await connection.fetchval(sql.feed.NUMBER_CHANGES, self.at_once) or 0

        return await self._database.transact(work)

    async def class_history(
        self, owner_id: str, class_id: UUID, after: int | None, limit: int
    ) -> HistoryPage:
        statements = sql.feed.CLASS_HISTORY, sql.feed.OWNED_CLASS
        found = await self._history(statements, (class_id, owner_id), after, limit)
        return _known(found, ClassNotFoundError)

    async def student_history(
        self, owner_id: str, student_id: UUID, after: int | None, limit: int
    ) -> HistoryPage:
        statements = sql.feed.STUDENT_HISTORY, sql.feed.OWNED_STUDENT
        found = await self._history(statements, (student_id, owner_id), after, limit)
        return _known(found, StudentNotFoundError)

    async def _history(
        self, statements: tuple[str, str], entity: tuple[UUID, str], after: int | None, limit: int
    ) -> HistoryPage | None:
        """Return a page of an entity's history, None if the owner never had it."""
        history, owned = statements
        async with self._database.acquire() as connection:
            found = await connection.fetch(history, *entity, after or 0, limit + 1)
            if not found and not await connection.fetchval(owned, *entity):
                return None
        return history_page(
            [PastChange(row["id"], row["at"], _change(row)) for row in found], limit
        )


def _known(found: HistoryPage | None, missing: type[ServiceError]) -> HistoryPage:
    if found is None:
        raise missing
    return found


async def _settle(connection: Connection) -> None:
    """Begin another epoch if this database is not where it was, or not what it was."""
    (row,) = await connection.fetch(sql.feed.FEED_PLACES)
    system = await connection.fetchval(sql.feed.FEED_SYSTEM) if row["may_ask_system"] else None
    here = Place(row["relation_now"], system, row["timeline_now"])
    before = Place(row["relation"], row["system"], row["timeline"])
    if here == before:
        return
    if here.is_elsewhere(before):
        if row["may_lock"]:
            await connection.execute(sql.feed.LOCK_CHANGES)
        await connection.execute(sql.feed.RESTART_FEED)
    anew = here.is_another_past(before)
    await connection.execute(
        sql.feed.SET_FEED_PLACE, here.relation, here.system, here.timeline, anew
    )


def _told(row: Row) -> ToldChange:
    return ToldChange(row["sequence"], row["at"], _change(row), _current(row))


def _current(row: Row) -> dict[str, Any] | None:
    if row["essay_id"] is None:
        return None
    return {
        "batch_id": row["batch_id"],
        "suggested_student_id": row["suggested_student_id"],
        "confidence_score": row["confidence"],
        "student_id": row["student_id"],
        "validation_status": row["status"],
        "validation_method": row["method"],
        "validated_by": row["validated_by"],
    }


def _change(row: Row) -> Change:
    return Change(
        owner_id=row["owner_id"],
        entity=Entity(row["entity"]),
        id=row["entity_id"],
        kind=ChangeKind(row["kind"]),
        by=row["by_user"],
        correlation_id=row["correlation_id"],
        class_id=row["class_id"],
        version=row["version"],
        before=_members(row["before"]),
        after=_members(row["after"]),
    )


def _members(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else orjson.loads(text)
    return found
