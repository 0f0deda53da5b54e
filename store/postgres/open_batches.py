"""Closing open batches in which nobody decides any more, on PostgreSQL."""

import asyncio
import random
from itertools import islice
from typing import Final
from uuid import UUID

from rules.errors import StoreUnavailableError
from rules.models import Batch, DeletedClass, Policy, Trace
from rules.open_batches import Ending, Settled, ending
from store.postgres import changes, outbox, rows, sql
from store.postgres.closing import close_decided, close_deleted, close_silently
from store.postgres.database import Connection, Database

#: While PostgreSQL works on one batch, the events of the other are built.
AT_ONCE: Final = 2
#: Of so many some are chosen at random: workers seldom meet, a class with many large batches keeps
#: no other one waiting, and what fails is not always the first.
CANDIDATES: Final = 1000


class PostgresOpenBatches:
    """Implements OpenBatchesProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def settle(self, limit: int) -> list[Settled]:
        return await self._close(sql.open_batches.BATCHES_WITHOUT_CLASS, limit)

    async def settle_idle(self, limit: int) -> list[Settled]:
        return await self._close(sql.open_batches.IDLE_BATCHES, limit)

    async def _close(self, search: str, limit: int) -> list[Settled]:
        async with self._database.acquire() as connection:
            found = [row["id"] for row in await connection.fetch(search, CANDIDATES)]
        chosen = iter(random.sample(found, min(limit, len(found))))
        closed: list[Settled | None] = []
        while some := list(islice(chosen, AT_ONCE)):
            closed += await asyncio.gather(*map(self._close_one, some))
        return [one for one in closed if one is not None]

    async def _close_one(self, batch_id: UUID) -> Settled | None:
        try:
            return await self._database.transact(
                lambda connection: settle(connection, batch_id, self._policy)
            )
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  # one batch must not keep the others open
            return Settled(batch_id, None, error=error)


async def settle(connection: Connection, batch_id: UUID, policy: Policy) -> Settled | None:
    """Close a batch unless it waits for decisions, is closed, or is being changed now."""
    locked = await connection.fetch(sql.decisions.LOCK_FREE_BATCHES, [batch_id])
    if not locked:
        return None
    batch = rows.batch(locked[0])
    deleted = await _deleted_class(connection, batch)
    [state] = await connection.fetch(sql.closing.BATCH_STATES, [batch_id])
    why = ending(batch, deleted, state["pending"])
    rejected = 0
    if why is Ending.NOTHING_PENDING:
        await outbox.put(connection, await close_decided(connection, [batch_id], policy))
    elif why is Ending.CLASS_DELETED and deleted:
        rejected = await _reject(connection, batch_id, deleted)
        await outbox.put(connection, await close_deleted(connection, batch, deleted, policy))
    elif why is Ending.CLASS_UNKNOWN:
        await connection.execute(sql.open_batches.DELETE_PENDING, [batch_id])
        await outbox.put(connection, await close_silently(connection, batch))
    return Settled(batch_id, why, rejected) if why else None


async def _deleted_class(connection: Connection, batch: Batch) -> DeletedClass | None:
    if batch.deleted_class_id is None:
        return None
    row = await connection.fetchrow(sql.classes.FIND_DELETED_CLASS, batch.deleted_class_id)
    if row is None:
        return None
    trace = Trace(row["correlation_id"], row["traceparent"])
    return DeletedClass(row["id"], row["owner_id"], row["course_code"], row["deleted_by"], trace)


async def _reject(connection: Connection, batch_id: UUID, deleted: DeletedClass) -> int:
    """Reject what is pending; return how many essays."""
    correlations = changes.correlations(connection, [deleted.trace])
    values = batch_id, deleted.deleted_by, deleted.owner_id, deleted.id, correlations
    return int(await connection.fetchval(sql.open_batches.REJECT_PENDING, *values))
