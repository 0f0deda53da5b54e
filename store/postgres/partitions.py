"""The partitions of the table of changes: made ahead, dropped when old."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

import asyncpg

from rules import weeks
from store.postgres import sql
from store.postgres.database import Connection, Database
from store.protocols.maintenance import Turnover

_NAME: Final = "changes_%Y%m%d"
#: Another transaction is in the way, or rows of the week are elsewhere already, since the clock of
#: PostgreSQL went back: the next time, or the next week, will do.
_LATER: Final = (asyncpg.LockNotAvailableError, asyncpg.CheckViolationError)


async def turn_over(database: Database, kept: timedelta) -> Turnover:
    """Make the weeks that are missing and drop the old ones, as MaintenanceProtocol says."""
    async with database.acquire() as connection:
        async with connection.transaction():
            # The weeks are read under the lock: another process may have made some just now.
            if not await connection.fetchval(sql.LOCK_PARTITIONS):
                return Turnover()
            found = await connection.fetchrow(sql.CHANGES_PARTITIONS)
            turnover = await _turn_over(connection, dict(found or {}), kept)
        if found is not None and found["allowed"]:
            await connection.execute(sql.PURGE_CHANGES, kept.days)
    return turnover


async def _turn_over(connection: Connection, found: Mapping[str, Any], kept: timedelta) -> Turnover:
    there = {_week(name) for name in found["names"]}
    missing = weeks.missing(there, found["now"])
    if not found["allowed"]:
        return Turnover(refused=bool(missing))
    made = [week for week in missing if await _make(connection, week)]
    old = weeks.over(there, found["now"], kept)
    dropped = [week for week in old if await _drop(connection, week)]
    return Turnover(made=len(made), dropped=len(dropped))


def _week(name: str) -> date:
    return datetime.strptime(name, _NAME).date()  # noqa: DTZ007  # a date has no time zone


async def _make(connection: Connection, week: date) -> bool:
    begin, end = weeks.bounds(week)
    statement = sql.MAKE_PARTITION.format(
        name=week.strftime(_NAME), begin=begin.isoformat(), end=end.isoformat()
    )
    return await _done(connection, statement)


async def _drop(connection: Connection, week: date) -> bool:
    return await _done(connection, sql.DROP_PARTITION.format(name=week.strftime(_NAME)))


async def _done(connection: Connection, statement: str) -> bool:
    """Carry out a statement about partitions, unless something is in its way; say whether."""
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except _LATER:
        return False
    return True
