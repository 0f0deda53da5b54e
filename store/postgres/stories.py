"""What is known of a batch, on PostgreSQL."""

from collections import defaultdict
from uuid import UUID

from rules.dead_letters.letters import event_id_of, instant_of
from rules.models import PastDecision
from rules.shards import shard_of
from rules.story import (
    OF_OWNER,
    BatchOfClass,
    Essay,
    Named,
    Parked,
    StoredBatch,
    Story,
    Unsent,
    is_about,
)
from store.postgres import rows, sql
from store.postgres.database import Connection, Database
from store.postgres.packs import unpack_headers


class PostgresStories:
    """Implements StoryProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def named(self, wanted: UUID) -> list[Named]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.stories.NAMED_BATCH, wanted)
            if found:
                return [Named(row["batch_id"]) for row in found]
            found = await connection.fetch(sql.stories.BATCHES_OF_CORRELATION, wanted)
        return [Named(row["batch_id"], tuple(row["essays"])) for row in found]

    async def of_class(self, class_id: UUID, most: int) -> list[BatchOfClass]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.stories.STORIES_OF_CLASS, class_id, most)
        return [BatchOfClass(**dict(row)) for row in found]

    async def story(self, batch_id: UUID) -> Story | None:
        async with (
            self._database.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(sql.stories.STORED_BATCH, batch_id)
            stored = StoredBatch(**dict(row)) if row else None
            parked = await connection.fetch(sql.stories.PARKED_OF_BATCH, batch_id)
            if stored is None and not parked:
                return None
            return Story(
                batch_id,
                stored,
                await _essays(connection, batch_id),
                tuple(map(_parked, parked)),
                await _unsent(connection, batch_id, stored),
            )


async def _essays(connection: Connection, batch_id: UUID) -> tuple[Essay, ...]:
    decisions: defaultdict[UUID, list[PastDecision]] = defaultdict(list)
    for row in await connection.fetch(sql.stories.DECISIONS_OF_BATCH, batch_id):
        decisions[row["essay_id"]].append(rows.past_decision(row))
    return tuple(
        Essay(
            row["essay_id"],
            row["created_at"],
            row["confirm_by"],
            row["is_suggested"],
            row["was_suggested"],
            tuple(decisions[row["essay_id"]]),
        )
        for row in await connection.fetch(sql.stories.ESSAYS_OF_BATCH, batch_id)
    )


def _parked(row: rows.Row) -> Parked:
    values = dict(row)
    return Parked(at=instant_of(values.pop("timestamp_ms")), **values)


async def _unsent(
    connection: Connection, batch_id: UUID, stored: StoredBatch | None
) -> tuple[Unsent, ...]:
    key = str(batch_id).encode()
    owner = stored.owner_id.encode() if stored and stored.owner_id else None
    shards = [shard_of(key), *([shard_of(owner)] if owner else [])]
    found = await connection.fetch(sql.stories.UNSENT_OF_BATCH, shards, key, owner, *OF_OWNER)
    return tuple(
        Unsent(
            row["id"],
            row["topic"],
            event_id_of(unpack_headers(row["headers"])),
            row["created_at"],
            row["set_aside_at"],
            row["reason"],
        )
        for row in found
        if is_about(batch_id, row["key"], row["value"])
    )
