"""The answers to requests with a key: rows of `idempotency_keys`, in the transaction of the effect.

A key is taken by a lock that is never waited for: who waited would hold a connection meanwhile. The
lock ends with the transaction, and the row is unique in any case.
"""

from collections.abc import Mapping, Sequence

import asyncpg
import orjson

from rules.events.envelopes import to_json
from rules.idempotency import KeptAnswer, KeyedRequest, replay
from store.keys import Answered
from store.postgres import outbox, rows, sql
from store.postgres.database import Connection


async def take(
    connection: Connection, requests: Sequence[KeyedRequest]
) -> dict[KeyedRequest, Answered]:
    """Take keys, each of another owner or text; return the requests that have no need of theirs."""
    keys = outbox.transposed([(r.owner_id, r.key) for r in requests], 2)
    locked = [row["locked"] for row in await connection.fetch(sql.idempotency.LOCK_KEYS, *keys)]
    answered: dict[KeyedRequest, Answered] = {
        request: None for request, has in zip(requests, locked, strict=True) if not has
    }
    found = {
        (r["owner_id"], r["key"]): r
        for r in await connection.fetch(sql.idempotency.KEPT_ANSWERS, *keys)
    }
    for request in requests:
        row = found.get((request.owner_id, request.key))
        if row is not None:
            answered[request] = replay(request, row["digest"], _answer(row))
    return answered


async def keep(connection: Connection, answers: Mapping[KeyedRequest, Answered]) -> None:
    """Keep those of the answers that are successes, for keys that were taken."""
    values = [
        (r.owner_id, r.key, r.digest, a.status, to_json(a.headers).decode(), a.body)
        for r, a in answers.items()
        if isinstance(a, KeptAnswer) and a.is_kept
    ]
    if not values:
        return
    kept = await connection.fetch(sql.idempotency.KEEP_ANSWERS, *outbox.transposed(values, 6))
    if len(kept) < len(values):
        raise asyncpg.SerializationError("a key has an answer")


def _answer(row: rows.Row) -> KeptAnswer:
    return KeptAnswer(row["status"], orjson.loads(row["headers"]), row["body"])
