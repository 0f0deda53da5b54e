"""Remembers changes, in the transaction that makes them.

What is done often is remembered by its own statement: it is told the correlation id, an array so
that an empty one is nothing to remember (`CHANGES=false`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from rules.events.envelopes import to_json
from rules.history import Change
from rules.models import Trace
from store.postgres import outbox, sql
from store.postgres.database import Connection


async def put(connection: Connection, changes: Sequence[Change]) -> None:
    """Remember changes in their order."""
    if not changes or not kept(connection):
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
    await connection.execute(sql.changes.INSERT_CHANGES, *outbox.transposed(rows, 10))


def kept(connection: Connection) -> bool:
    """Whether what is done on this connection is remembered."""
    return bool(getattr(connection, "keeps_changes", True))


def correlations(connection: Connection, traces: Iterable[Trace]) -> list[UUID]:
    """Return the correlation ids with which a statement remembers what it changes."""
    if not kept(connection):
        return []
    return [trace.correlation_id for trace in traces]


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else to_json(value).decode()
