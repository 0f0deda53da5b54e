"""The database in numbers, on PostgreSQL."""

from rules.models import Policy
from store.postgres import sql
from store.postgres.database import Database
from store.protocols.overview import GRACE, MOST_COUNTED, MOST_PACKS, Due, Overview, Queue


class PostgresOverview:
    """Implements OverviewProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._retry = policy.suggestion_retry

    async def overview(self) -> Overview:
        async with self._database.acquire() as connection:
            row = dict(await connection.fetchrow(sql.overview.OVERVIEW, MOST_COUNTED) or {})
            set_aside = dict(await connection.fetchrow(sql.set_aside.COUNT_SET_ASIDE) or {})
            outbox = await connection.fetch(sql.overview.OUTBOX_BY_SHARD, MOST_PACKS)
            due = await connection.fetch(sql.overview.DUE_BY_HOUR, GRACE)
        deadline = row["parked_deadline"]
        hours = [Due(**dict(one)) for one in due if one["hour"]]
        overdue = next((one for one in due if not one["hour"]), None)
        return Overview(
            row["now"],
            {one["shard"]: Queue(one["waiting"], one["since"], one["is_more"]) for one in outbox},
            refused=set_aside["refused"],
            behind=set_aside["waiting"],
            parked=Queue(
                row["parked"],
                deadline - self._retry if deadline else None,
                row["parked"] == MOST_COUNTED,
            ),
            open_batches=row["open_batches"],
            overdue_batches=overdue["batches"] if overdue else 0,
            overdue_essays=overdue["essays"] if overdue else 0,
            due=hours,
        )
