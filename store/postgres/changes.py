"""Remembers changes, in the transaction that makes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from rules.history import Change
from store.postgres import outbox, sql
from store.postgres.database import Connection


async def put(connection: Connection, changes: Sequence[Change]) -> None:
    """Remember changes in their order."""
    if not changes:
        return
    rows = [
        (
            c.owner_id,
            c.entity.value,
            c.id,
            c.class_id,
            c.kind.value,
            c.version,
            c.by,
            c.correlation_id,
            _json(c.before),
            _json(c.after),
        )
        for c in changes
    ]
    await connection.execute(sql.INSERT_CHANGES, *outbox.transposed(rows, 10))


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
