"""The partitions of the changes and of the feed: made ahead, dropped when old."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

import asyncpg

from rules import weeks
from store.postgres import sql
from store.postgres.database import Connection, Database
from store.protocols.maintenance import Turnover

#: What is dropped of a week, in this order: nobody is told of a change that is not there any more.
_TABLES: Final = ("feed", "changes")
#: Another transaction is in the way, or rows of the week are elsewhere already, since the clock of
#: PostgreSQL went back: the next time, or the next week, will do.
_LATER: Final = (asyncpg.LockNotAvailableError, asyncpg.CheckViolationError)


async def turn_over(database: Database, kept: timedelta) -> Turnover:
    """Make the weeks that are missing and drop the old ones, as MaintenanceProtocol says."""
    async with database.acquire() as connection:
        async with connection.transaction():
            # The weeks are read under the lock: another process may have made some just now.
            if not await connection.fetchval(sql.partitions.LOCK_PARTITIONS):
                return Turnover()
            found = await connection.fetchrow(sql.partitions.CHANGES_PARTITIONS)
            turnover = await _turn_over(connection, dict(found or {}), kept)
        if found is not None and found["allowed"]:
            async with connection.transaction():
                await connection.execute(sql.feed.PURGE_FEED, kept)
                await connection.execute(sql.partitions.PURGE_CHANGES, kept.days)
    return turnover


async def _turn_over(connection: Connection, found: Mapping[str, Any], kept: timedelta) -> Turnover:
    there = _by_table(found["names"])
    missing = {table: weeks.missing(there[table], found["now"]) for table in _TABLES}
    if not found["allowed"]:
        return Turnover(refused=any(missing.values()))
    made = {
        week for table in _TABLES for week in missing[table] if await _make(connection, table, week)
    }
    old = weeks.over({week for some in there.values() for week in some}, found["now"], kept)
    dropped = [week for week in old if await _drop(connection, there, week)]
    return Turnover(made=len(made), dropped=len(dropped))


def _by_table(names: Iterable[str]) -> Mapping[str, set[date]]:
    """Return the weeks that each table has."""
    found = defaultdict[str, set[date]](set)
    for name in names:
        table, _, week = name.partition("_")
        found[table].add(datetime.strptime(week, "%Y%m%d").date())  # noqa: DTZ007  # a date has no time zone
    return found


def _name(table: str, week: date) -> str:
    return f"{table}_{week:%Y%m%d}"


async def _make(connection: Connection, table: str, week: date) -> bool:
    begin, end = weeks.bounds(week)
    statement = sql.partitions.MAKE_PARTITION.format(
        name=_name(table, week), table=table, begin=begin.isoformat(), end=end.isoformat()
    )
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except _LATER:
        return False
    return True


async def _drop(connection: Connection, there: Mapping[str, set[date]], week: date) -> bool:
    """Drop a week of all tables, or of none if something is in the way; say whether."""
    names = [_name(table, week) for table in _TABLES if week in there[table]]
    try:
        async with connection.transaction():
            await connection.execute(sql.feed.RAISE_FLOOR, weeks.bounds(week)[1])
            for name in names:
                await connection.execute(sql.partitions.DROP_PARTITION.format(name=name))
    except _LATER:
        return False
    return True
