"""Requests that are repeated or only tried, on PostgreSQL.

A key is taken by a lock that is never waited for: who waited would hold a connection meanwhile. The
lock ends with the transaction, and the row is unique in any case.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import orjson

from rules.events.envelopes import to_json
from rules.idempotency import KeptAnswer, KeyedRequest, replay
from store.postgres import sql
from store.postgres.database import Connection, Database
from store.protocols.idempotency import Work
from store.waiting import when_free

T = TypeVar("T")


class PostgresIdempotency:
    """Implements IdempotencyProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def once(self, request: KeyedRequest, work: Work) -> KeptAnswer:
        async def attempt() -> KeptAnswer | None:
            return await self._database.transact_all(
                lambda connection: _once(connection, request, work), _is_new
            )

        return await when_free(attempt)

    async def dry(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._database.transact_all(lambda _: work(), lambda _: False)


def _is_new(answer: KeptAnswer | None) -> bool:
    return answer is not None and answer.is_kept and not answer.is_replay


async def _once(connection: Connection, request: KeyedRequest, work: Work) -> KeptAnswer | None:
    """Return the answer to a request; None if its key is being used."""
    key = request.owner_id, request.key
    if not await connection.fetchval(sql.LOCK_KEY, *key):
        return None
    row = await connection.fetchrow(sql.KEPT_ANSWER, *key)
    if row is not None:
        kept = KeptAnswer(row["status"], orjson.loads(row["headers"]), row["body"])
        return replay(request, row["digest"], kept)
    answer = await work()
    if answer.is_kept:
        await _keep(connection, request, answer)
    return answer


async def _keep(connection: Connection, request: KeyedRequest, answer: KeptAnswer) -> None:
    headers = to_json(answer.headers).decode()
    values = request.owner_id, request.key, request.digest, answer.status, headers, answer.body
    if not await connection.fetchval(sql.KEEP_ANSWER, *values):
        raise asyncpg.SerializationError("the key has an answer")
